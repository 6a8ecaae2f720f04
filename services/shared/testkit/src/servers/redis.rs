//! A Redis server.

use std::process::Child;

use tempfile::TempDir;

use super::{find, free_port, kill, listening, start};

/// A Redis server of one's own; killed when dropped.
pub struct Redis {
    folder: TempDir,
    port: u16,
    child: Option<Child>,
}

/// Starts an empty Redis server.
pub async fn redis() -> Redis {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut redis = Redis {
        folder,
        port: free_port(),
        child: None,
    };
    redis.start().await;
    redis
}

impl Redis {
    /// Where it listens.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// Starts it again, empty.
    pub async fn start(&mut self) {
        let program = find("redis-server", &[]).expect("redis-server: see the README of testkit");
        let (port, folder) = (self.port.to_string(), self.folder.path().to_string_lossy());
        let args = [
            "--port",
            &port,
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--dir",
            &folder,
        ];
        self.child = Some(start(&program, args, &self.folder.path().join("log")));
        listening(self.port, "the Redis server listens").await;
    }

    /// Kills it without warning (SIGKILL).
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            kill(&mut child);
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}

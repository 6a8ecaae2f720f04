//! A Redis server.

use std::path::PathBuf;
use std::process::Child;

use tempfile::TempDir;

use super::{find, free_port, kill, listening, start};

/// A Redis server of one's own; killed when dropped.
pub struct Redis {
    folder: TempDir,
    port: u16,
    /// Whether its port is one for TLS.
    tls: bool,
    child: Option<Child>,
}

/// Starts an empty Redis server.
pub async fn redis() -> Redis {
    let mut redis = Redis::new(false);
    redis.start().await;
    redis
}

/// Starts an empty Redis server with this configuration, but on a port of its own.
pub async fn redis_configured(configuration: &str) -> Redis {
    let mut redis = Redis::new(false);
    std::fs::write(redis.file("redis.conf"), configuration).expect("a file");
    redis.start().await;
    redis
}

/// The same over TLS, and the certificate (PEM) by which it is known.
pub async fn redis_tls() -> (Redis, String) {
    let mut redis = Redis::new(true);
    let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]);
    let signed = signed.expect("a certificate");
    let (certificate, key) = (signed.cert.pem(), signed.signing_key.serialize_pem());
    std::fs::write(redis.file("tls.crt"), &certificate).expect("a file");
    std::fs::write(redis.file("tls.key"), key).expect("a file");
    redis.start().await;
    (redis, certificate)
}

impl Redis {
    fn new(tls: bool) -> Self {
        Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
            port: free_port(),
            tls,
            child: None,
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        if self.tls {
            format!("rediss://localhost:{}/0", self.port)
        } else {
            format!("redis://127.0.0.1:{}/0", self.port)
        }
    }

    /// Starts it again, empty.
    pub async fn start(&mut self) {
        let program = find("redis-server", &[]).expect("redis-server: see the README of testkit");
        let (port, folder) = (self.port.to_string(), self.folder.path().to_string_lossy());
        let configuration = self.file("redis.conf");
        let configuration = configuration.to_string_lossy();
        let mut args = vec!["--bind", "127.0.0.1", "--save", "", "--dir", &folder];
        if self.file("redis.conf").is_file() {
            args.insert(0, &configuration);
        }
        if self.tls {
            // The files are named from the folder that it runs in.
            args.extend([
                "--port",
                "0",
                "--tls-port",
                &port,
                "--tls-auth-clients",
                "no",
            ]);
            args.extend(["--tls-cert-file", "tls.crt", "--tls-key-file", "tls.key"]);
        } else {
            args.extend(["--port", &port]);
        }
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

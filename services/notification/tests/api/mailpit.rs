//! A mail server that stores what it receives.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A mailpit of one test; killed when dropped.
pub struct Mailpit {
    pub smtp: u16,
    api: u16,
    _folder: TempDir,
    child: Child,
}

fn program() -> PathBuf {
    let configured = std::env::var_os("STOREFRONT_MAILPIT").map(PathBuf::from);
    let home = std::env::var_os("HOME")
        .map(PathBuf::from)
        .unwrap_or_default();
    let path = std::env::var_os("PATH").unwrap_or_default();
    configured.into_iter()
        .chain([home.join(".cache/storefront/bin/mailpit")])
        .chain(std::env::split_paths(&path).map(|folder| folder.join("mailpit")))
        .find(|path| path.is_file())
        .expect("mailpit: `make test` builds it into ~/.cache/storefront/bin, or set STOREFRONT_MAILPIT")
}

/// Starts an empty mailpit on ports that are free.
pub async fn start() -> Mailpit {
    on_port(testkit::free_port()).await
}

/// Starts an empty mailpit on a port.
pub async fn on_port(smtp: u16) -> Mailpit {
    let folder = tempfile::tempdir().unwrap();
    let api = testkit::free_port();
    // The kernel kills it if the test ends without dropping it.
    let child = Command::new("setpriv")
        .args(["--pdeathsig", "KILL"])
        .arg(program())
        .args([
            "--smtp",
            &format!("127.0.0.1:{smtp}"),
            "--listen",
            &format!("127.0.0.1:{api}"),
        ])
        .args([
            "--quiet",
            "--disable-version-check",
            "--smtp-disable-rdns",
            "--database",
        ])
        .arg(folder.path().join("mail.db"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mailpit = Mailpit {
        smtp,
        api,
        _folder: folder,
        child,
    };
    for port in [smtp, api] {
        testkit::eventually("mailpit listens", || async {
            tokio::net::TcpStream::connect(("127.0.0.1", port))
                .await
                .ok()
        })
        .await;
    }
    mailpit
}

impl Mailpit {
    async fn get(&self, path: &str) -> Value {
        let client = chassis::http_client(std::time::Duration::from_secs(5)).unwrap();
        let url = format!("http://127.0.0.1:{}/api/v1/{path}", self.api);
        client.get(url).send().await.unwrap().json().await.unwrap()
    }

    /// Everything that arrived, with all parts.
    pub async fn messages(&self) -> Vec<Value> {
        let listed = self.get("messages?limit=500").await;
        let mut messages = Vec::new();
        for message in listed["messages"].as_array().unwrap() {
            let id = message["ID"].as_str().unwrap();
            messages.push(self.get(&format!("message/{id}")).await);
        }
        messages
    }

    /// The raw headers of a message.
    pub async fn headers(&self, message: &Value) -> Value {
        self.get(&format!(
            "message/{}/headers",
            message["ID"].as_str().unwrap()
        ))
        .await
    }
}

impl Drop for Mailpit {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

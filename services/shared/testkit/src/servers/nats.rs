//! A NATS server with JetStream, or a cluster of them.

use std::path::PathBuf;
use std::process::Child;

use tempfile::TempDir;

use super::{find, free_port, kill, listening, start};

/// A NATS server of one's own; killed when dropped.
pub struct Nats {
    folder: TempDir,
    port: u16,
    /// Port of its monitoring, where its configuration has that.
    monitor: u16,
    /// What makes it one of a cluster.
    among: Vec<String>,
    /// Its configuration, where it is not all on the command line.
    configuration: Option<String>,
    child: Option<Child>,
}

/// Starts a NATS server with JetStream on an empty store.
pub async fn nats() -> Nats {
    let mut nats = Nats::among(Vec::new());
    nats.start().await;
    nats
}

/// Starts a NATS server with this configuration, but on a port and a store of its own.
pub async fn nats_configured(configuration: &str) -> Nats {
    let mut nats = Nats::among(Vec::new());
    let store = format!("\"{}\"", nats.folder.path().join("store").display());
    nats.configuration = Some(configuration.replace("\"/data\"", &store));
    nats.start().await;
    nats
}

/// Starts a cluster of NATS servers, called `server-0` and so on. They need a moment to find a leader.
pub async fn nats_cluster(servers: usize) -> Vec<Nats> {
    let ports: Vec<u16> = (0..servers).map(|_| free_port()).collect();
    let at = |port: &u16| format!("nats://server:secret@127.0.0.1:{port}");
    let routes = ports.iter().map(at).collect::<Vec<_>>().join(",");
    let mut cluster = Vec::new();
    for (index, port) in ports.iter().enumerate() {
        let among = [
            ("-n", format!("server-{index}")),
            ("-cluster_name", "test".to_owned()),
            ("-cluster", at(port)),
            ("-routes", routes.clone()),
        ];
        let among = among.into_iter();
        let among = among.flat_map(|(flag, value)| [flag.to_owned(), value]);
        cluster.push(Nats::among(among.collect()));
    }
    for nats in &mut cluster {
        nats.start().await;
    }
    cluster
}

fn program() -> PathBuf {
    let told = std::env::var_os("STOREFRONT_NATS_SERVER").map(PathBuf::from);
    let home = std::env::var_os("HOME")
        .map(PathBuf::from)
        .unwrap_or_default();
    let places: Vec<PathBuf> = told
        .into_iter()
        .chain([home.join(".cache/storefront/bin/nats-server")])
        .collect();
    find("nats-server", &places).expect("nats-server: see the README of testkit")
}

impl Nats {
    fn among(among: Vec<String>) -> Self {
        Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
            port: free_port(),
            monitor: free_port(),
            among,
            configuration: None,
            child: None,
        }
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Host and port of its monitoring.
    pub fn monitor(&self) -> String {
        format!("127.0.0.1:{}", self.monitor)
    }

    /// Starts it, on what its store holds, and waits until it listens.
    pub async fn start(&mut self) {
        let store = self.folder.path().join("store");
        let args = [
            "-a".into(),
            "127.0.0.1".into(),
            "-p".into(),
            self.port.to_string(),
        ];
        let store = store.to_string_lossy().into_owned();
        let more = match &self.configuration {
            None => vec!["-js".to_owned(), "-sd".to_owned(), store],
            Some(text) => {
                let file = self.folder.path().join("nats.conf");
                std::fs::write(&file, text).expect("a file");
                let file = file.to_string_lossy().into_owned();
                let monitor = self.monitor.to_string();
                vec!["-c".to_owned(), file, "-m".to_owned(), monitor]
            }
        };
        let args = args.into_iter().chain(more);
        let args = args.chain(self.among.iter().cloned());
        self.child = Some(start(&program(), args, &self.folder.path().join("log")));
        listening(self.port, "the NATS server listens").await;
    }

    /// Lets each write to its files fail from now on, as a full disk does.
    pub fn refuse_writes(&mut self) {
        let child = self.child.as_ref().expect("it runs");
        let limited = std::process::Command::new("prlimit")
            .args(["--pid", &child.id().to_string(), "--fsize=0:"])
            .status();
        assert!(
            limited.is_ok_and(|status| status.success()),
            "limiting the size of files failed"
        );
    }

    /// Kills it without warning (SIGKILL).
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            kill(&mut child);
        }
    }

    /// Kills it and deletes its store: streams and consumers are gone.
    pub fn wipe(&mut self) {
        self.kill();
        std::fs::remove_dir_all(self.folder.path().join("store")).expect("the store is deleted");
    }

    /// Kills it and keeps a copy of its store, to be put back by [`Nats::restore`].
    pub fn backup(&mut self) -> TempDir {
        self.kill();
        let copy = tempfile::tempdir().expect("a temporary folder");
        copy_folder(
            &self.folder.path().join("store"),
            &copy.path().join("store"),
        );
        copy
    }

    /// Kills it and puts an older store in place of the present one.
    pub fn restore(&mut self, backup: &TempDir) {
        self.wipe();
        copy_folder(
            &backup.path().join("store"),
            &self.folder.path().join("store"),
        );
    }
}

fn copy_folder(from: &std::path::Path, to: &std::path::Path) {
    let copied = std::process::Command::new("cp")
        .arg("-a")
        .arg(from)
        .arg(to)
        .status();
    assert!(
        copied.is_ok_and(|status| status.success()),
        "copying a store failed"
    );
}

impl Drop for Nats {
    fn drop(&mut self) {
        self.kill();
    }
}

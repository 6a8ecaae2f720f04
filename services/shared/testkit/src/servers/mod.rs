//! Real servers to throw away.

mod nats;
pub mod postgres;
mod redis;

use std::ffi::OsStr;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

pub use nats::{Nats, nats, nats_cluster, nats_configured};
pub use redis::{Redis, redis, redis_configured, redis_tls};

use crate::eventually_within;

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}

/// Finds a program: at a path, or by name on PATH.
fn find(name: &str, places: &[PathBuf]) -> Option<PathBuf> {
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&on_path).map(|folder| folder.join(name));
    places
        .iter()
        .cloned()
        .chain(on_path)
        .find(|path| path.is_file())
}

/// Starts a server that the kernel kills if the thread that started it ends without dropping it.
fn start<S: AsRef<OsStr>>(program: &Path, args: impl IntoIterator<Item = S>, log: &Path) -> Child {
    let log = std::fs::File::create(log).expect("a log file");
    Command::new("setpriv")
        .args(["--pdeathsig", "KILL"])
        .arg(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a log file"))
        .stderr(log)
        .spawn()
        .unwrap_or_else(|error| panic!("starting {}: {error}", program.display()))
}

/// Waits until something listens on a port.
async fn listening(port: u16, what: &str) {
    eventually_within(Duration::from_secs(30), what, || async {
        tokio::net::TcpStream::connect(("127.0.0.1", port))
            .await
            .ok()
    })
    .await;
}

fn kill(child: &mut Child) {
    // It may have ended by itself.
    let _ = child.kill();
    let _ = child.wait();
}

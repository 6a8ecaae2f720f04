//! One PostgreSQL server for all test processes of a user.
//!
//! Every process holds a shared lock on one file for as long as it lives; the kernel gives it back
//! whatever kills the process. A watchdog stops the server when it can have the lock alone and
//! nobody has come for a minute.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use sqlx::{Connection, PgConnection};
use tokio::sync::OnceCell;

use super::{find, free_port};
use crate::eventually_within;

/// Where the server is. The file keeps the shared lock until the process ends.
struct Server {
    port: u16,
    _in_use: File,
}

static SERVER: OnceCell<Server> = OnceCell::const_new();

/// The port of the server; starts it if need be.
pub async fn port() -> u16 {
    SERVER.get_or_init(find_or_start).await.port
}

fn lock_file(folder: &Path, name: &str) -> File {
    let path = folder.join(name);
    let file = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(false)
        .open(&path);
    file.unwrap_or_else(|error| panic!("opening {}: {error}", path.display()))
}

async fn find_or_start() -> Server {
    let me = output(Command::new("id").arg("-u"));
    let folder = std::env::temp_dir().join(format!("storefront-testkit-{me}"));
    std::fs::create_dir_all(&folder).expect("a folder for the server");
    // Waits while a watchdog is stopping the server, or another process is starting it.
    let in_use = lock_file(&folder, "in-use");
    in_use.lock_shared().expect("a lock");
    std::fs::write(folder.join("used"), "").expect("a time stamp");
    let starting = lock_file(&folder, "starting");
    starting.lock().expect("a lock");
    let port = match running(&folder) {
        Some(port) => port,
        None => start(&folder, me == "0").await,
    };
    starting.unlock().expect("the lock goes back");
    Server {
        port,
        _in_use: in_use,
    }
}

fn running(folder: &Path) -> Option<u16> {
    let port = std::fs::read_to_string(folder.join("port"))
        .ok()?
        .trim()
        .parse()
        .ok()?;
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    TcpStream::connect_timeout(&address, Duration::from_secs(5))
        .ok()
        .map(|_| port)
}

fn program(name: &str) -> PathBuf {
    let versions = (13..=20)
        .rev()
        .map(|v| format!("/usr/lib/postgresql/{v}/bin/{name}").into());
    find(name, &versions.collect::<Vec<_>>()).expect("PostgreSQL: see the README of testkit")
}

/// PostgreSQL refuses to run as root.
fn as_user(root: bool, program: &Path) -> Vec<OsString> {
    let mut line: Vec<OsString> = Vec::new();
    if root {
        let user = server_user();
        let group = if user == "postgres" {
            "postgres"
        } else {
            "nogroup"
        };
        line.extend(
            [
                "setpriv",
                "--reuid",
                user,
                "--regid",
                group,
                "--clear-groups",
            ]
            .map(Into::into),
        );
    }
    line.push(program.into());
    line
}

fn server_user() -> &'static str {
    let mut known = Command::new("id");
    known
        .arg("postgres")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if known.status().is_ok_and(|status| status.success()) {
        "postgres"
    } else {
        "nobody"
    }
}

const SETTINGS: [&str; 9] = [
    "unix_socket_directories=",
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "max_connections=400",
    "shared_buffers=64MB",
    "wal_level=minimal",
    "max_wal_senders=0",
    "max_wal_size=256MB",
];

async fn start(folder: &Path, root: bool) -> u16 {
    let data = folder.join("data");
    // What a killed server left behind; its databases were for throwing away.
    let _ = std::fs::remove_dir_all(&data);
    std::fs::create_dir(&data).expect("a data folder");
    if root {
        run(Command::new("chown").arg(server_user()).arg(&data));
    }
    let init = [
        "--no-sync",
        "-A",
        "trust",
        "-U",
        "postgres",
        "-E",
        "UTF8",
        "--locale=C.UTF-8",
    ];
    let line = as_user(root, &program("initdb"));
    run(Command::new("env")
        .args(line)
        .args(init)
        .arg("-D")
        .arg(&data)
        .current_dir("/"));

    let port = free_port();
    let mut line = as_user(root, &program("postgres"));
    line.extend(["-D".into(), data.into(), "-h".into(), "127.0.0.1".into()]);
    line.extend(["-p".into(), port.to_string().into()]);
    line.extend(
        SETTINGS
            .iter()
            .flat_map(|setting| ["-c".into(), setting.into()]),
    );
    // A process group of its own: ^C in one test run must not stop it under another.
    run(Command::new("sh")
        .args(["-c", SUPERVISE, "sh"])
        .arg(folder)
        .args(line)
        .current_dir("/")
        .process_group(0));
    // It listens before it answers.
    let url = format!("postgres://postgres@127.0.0.1:{port}/postgres");
    eventually_within(
        Duration::from_secs(60),
        "the PostgreSQL server answers",
        || async { PgConnection::connect(&url).await.ok()?.close().await.ok() },
    )
    .await;
    std::fs::write(folder.join("port"), port.to_string()).expect("the port is noted");
    port
}

/// Runs the server in the background and stops it when nobody holds the lock and nobody has come
/// for a minute.
const SUPERVISE: &str = r#"
    folder=$1; shift
    (
        "$@" >"$folder/log" 2>&1 &
        server=$!
        while kill -0 "$server" 2>/dev/null; do
            sleep 15
            flock --nonblock --exclusive "$folder/in-use" sh -c '
                [ -n "$(find "$1/used" -mmin +1)" ] || exit 0
                kill -INT "$2"
                while kill -0 "$2" 2>/dev/null; do sleep 0.1; done
                rm -rf "$1/data" "$1/port"
            ' sh "$folder" "$server"
        done
    ) </dev/null >/dev/null 2>&1 &
"#;

fn run(command: &mut Command) {
    output(command);
}

fn output(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

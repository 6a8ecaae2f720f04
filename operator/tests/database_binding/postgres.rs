//! A throw-away PostgreSQL that asks for passwords, for the life of this process.
//!
//! Not testkit's: that one trusts everybody, and here the question is whether a password works.

use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use operator_plan::database_binding::Server;

/// The administrator's password.
const PASSWORD: &str = "only-for-tests";

/// A running server.
pub struct Postgres {
    port: u16,
    folder: PathBuf,
    /// Waits for our end of its pipe to close, however we die, and then stops the server.
    _keeper: Child,
}

/// The server that the tests of this process share.
pub fn postgres() -> &'static Postgres {
    static ONE: OnceLock<Postgres> = OnceLock::new();
    ONE.get_or_init(Postgres::start)
}

impl Postgres {
    /// Starts another one, for a test that needs its own.
    pub fn start() -> Self {
        Self::start_with("--auth=scram-sha-256")
    }

    /// Starts one that takes the password as it is and checks it against the same SCRAM verifier. For tests with
    /// thousands of logins: the client's 4,096 rounds of a hash that is compiled without optimisation took two
    /// thirds of their time.
    pub fn start_for_many_logins() -> Self {
        Self::start_with("--auth=password")
    }

    fn start_with(logins: &str) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let bin = binaries();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = temporary(&format!("pg-{number}"));
        let as_root = is_root();
        let data = folder.join("data");
        let mut secret = std::fs::File::create(folder.join("password")).expect("password file");
        writeln!(secret, "{PASSWORD}").expect("password file");
        run(user(as_root, &bin.join("initdb"))
            .arg("-D")
            .arg(&data)
            .args(["-U", "postgres", "-E", "UTF8", "--locale=C", "--no-sync"])
            .args([logins, "--pwfile"])
            .arg(folder.join("password")));
        let port = free_port();
        let options = format!(
            "-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={} -c fsync=off \
             -c full_page_writes=off -c synchronous_commit=off -c max_connections=60 \
             -c autovacuum=off -c shared_buffers=32MB -c log_statement=all",
            folder.display()
        );
        run(user(as_root, &bin.join("pg_ctl"))
            .arg("-D")
            .arg(&data)
            .arg("-l")
            .arg(data.join("server.log"))
            .args(["-w", "-t", "60", "-o", &options, "start"]));
        Self {
            port,
            _keeper: keeper(as_root, &bin, &data, &folder),
            folder,
        }
    }

    /// How a binding's `adminSecret` would describe it.
    pub fn server(&self) -> Server {
        Server {
            host: "127.0.0.1".into(),
            port: self.port,
            username: "postgres".into(),
            password: PASSWORD.into(),
            sslmode: Some("disable".into()),
        }
    }

    /// Everything that the server has logged, statements included.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("data/server.log")).expect("the server's log")
    }
}

/// A new folder for a server, which its user owns.
pub fn temporary(name: &str) -> PathBuf {
    // In memory where there is such a place: databases come and go hundreds of times here.
    let memory = Path::new("/dev/shm");
    let base = if memory.is_dir() {
        memory.to_owned()
    } else {
        std::env::temp_dir()
    };
    let folder = base.join(format!("storefront-binding-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder for PostgreSQL");
    if is_root() {
        run(Command::new("chown").arg("postgres").arg(&folder));
    }
    folder
}

/// Whether the tests run as root, as which PostgreSQL refuses to run.
pub fn is_root() -> bool {
    Command::new("id").arg("-u").output().expect("id").stdout == b"0\n"
}

/// Folder of PostgreSQL's programs.
pub fn binaries() -> PathBuf {
    let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .filter(|bin| bin.join("initdb").exists())
        .collect();
    found.sort();
    found
        .pop()
        .expect("PostgreSQL's server programs (Debian: postgresql)")
}

/// A program that is not run as root.
pub fn user(as_root: bool, program: &Path) -> Command {
    if as_root {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--"]).arg(program);
        command
    } else {
        Command::new(program)
    }
}

fn run(command: &mut Command) {
    let output = command
        // Whoever runs this may stand where the server's user may not look.
        .current_dir("/")
        .stdin(Stdio::null())
        .output()
        .expect("the program starts");
    assert!(
        output.status.success(),
        "{command:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

fn keeper(as_root: bool, bin: &Path, data: &Path, folder: &Path) -> Child {
    let stop = if as_root {
        "runuser -u postgres -- "
    } else {
        ""
    };
    let script = format!(
        "trap '' INT TERM HUP; cat >/dev/null; {stop}{}/pg_ctl -D {} -m fast -t 20 stop; rm -rf {}",
        bin.display(),
        data.display(),
        folder.display()
    );
    Command::new("sh")
        .args(["-c", &script])
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the keeper starts")
}

/// A port that nobody listens at.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("its address").port()
}

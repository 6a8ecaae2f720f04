//! The image of the shop's own server: what its start does with the administrator's password.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{Connection, Executor, PgConnection};

use super::postgres::{binaries, free_port, is_root, temporary, user};

struct Server {
    folder: PathBuf,
    port: u16,
    running: Option<Child>,
}

impl Server {
    fn new() -> Self {
        let folder = temporary("start");
        Self {
            folder,
            port: free_port(),
            running: None,
        }
    }

    /// What the kubelet does: the Secret's content, then the entrypoint.
    fn start(&mut self, password: &str) {
        std::fs::write(self.folder.join("password"), password).expect("written");
        let script =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../e2e/images/postgres/start-postgres");
        let copy = self.folder.join("start-postgres");
        std::fs::copy(script, &copy).expect("copied");
        let path = format!("{}:/usr/bin:/bin", binaries().display());
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder.join("log"))
            .expect("a log");
        let mut command = user(is_root(), Path::new("/usr/bin/env"));
        command
            .arg(format!("PATH={path}"))
            .arg(format!(
                "PGDATA={}",
                self.folder.join("data/pgdata").display()
            ))
            .arg(format!(
                "POSTGRES_PASSWORD_FILE={}",
                self.folder.join("password").display()
            ))
            .arg("LANG=C.UTF-8")
            .arg("sh")
            .arg(&copy)
            .args(["-p", &self.port.to_string(), "-c", "fsync=off"])
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log);
        self.running = Some(command.spawn().expect("the entrypoint starts"));
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    async fn log_in(&self, password: &str) -> Result<PgConnection, sqlx::Error> {
        let options = PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(self.port)
            .username("postgres")
            .password(password)
            .database("postgres")
            .ssl_mode(PgSslMode::Disable);
        PgConnection::connect_with(&options).await
    }

    /// Logs in as soon as the server listens.
    async fn wait(&self, password: &str) -> PgConnection {
        let start = Instant::now();
        loop {
            match self.log_in(password).await {
                Ok(connection) => return connection,
                Err(error) if start.elapsed() > Duration::from_secs(120) => {
                    panic!("{error}: {}", self.log())
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }

    /// As a node that loses power would: nothing is tidied up.
    fn kill(&mut self) {
        let Some(mut child) = self.running.take() else {
            return;
        };
        let pid = std::fs::read_to_string(self.folder.join("data/pgdata/postmaster.pid"));
        let pid = pid.unwrap_or_default();
        let pid = pid.lines().next().unwrap_or_default().to_owned();
        if !pid.is_empty() {
            drop(Command::new("kill").args(["-QUIT", &pid]).status());
        }
        drop(child.wait());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

#[tokio::test]
async fn a_server_takes_the_password_of_its_secret_at_each_start_and_keeps_its_data() {
    let mut server = Server::new();
    server.start("first");
    let mut administrator = server.wait("first").await;
    administrator
        .execute("create table kept (id int); insert into kept values (1)")
        .await
        .expect("made");
    drop(administrator);
    for password in ["sec'ond''s", r"thi\rd $x `y`", "first\n"] {
        server.kill();
        server.start(password);
        let mut administrator = server.wait(password.trim_end()).await;
        administrator
            .execute("select * from kept")
            .await
            .expect("the data is there");
        server.log_in("another").await.expect_err("refused");
    }
    assert!(!server.log().contains("ond''s"), "{}", server.log());
}

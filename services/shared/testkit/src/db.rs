//! A migrated database of one's own.

use std::fmt::Write as _;
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::postgres::{PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use vocabulary::{Clock, EventId, SystemClock, SystemEntropy};

use crate::servers::postgres;

/// A database of one test; dropped with it.
pub struct TestDb {
    /// Connections to it.
    pub pool: PgPool,
    /// `postgres://` URL of it.
    pub url: String,
    name: String,
    admin_url: String,
}

/// A new database, migrated as in production (the outbox's tables, then those of `migrator`) and made
/// from a template. The schema is the one that the first `create table` names.
pub async fn db(migrator: &Migrator) -> TestDb {
    let port = postgres::port().await;
    let url = |database: &str| format!("postgres://postgres@127.0.0.1:{port}/{database}");
    let admin_url = url("postgres");
    let mut admin = PgConnection::connect(&admin_url)
        .await
        .expect("a connection");
    let template = template(&mut admin, migrator, url).await;
    let name = format!(
        "test_{}",
        EventId::mint(SystemClock.now(), &SystemEntropy)
            .as_uuid()
            .simple()
    );
    execute(
        &mut admin,
        format!("create database {name} template {template}"),
    )
    .await;
    let _ = admin.close().await;
    let url = url(&name);
    let pool = PgPoolOptions::new()
        .max_connections(10)
        .acquire_timeout(Duration::from_secs(20))
        .connect(&url)
        .await
        .expect("a connection");
    TestDb {
        pool,
        url,
        name,
        admin_url,
    }
}

impl TestDb {
    /// Cuts all connections, as a restart of the server would.
    pub async fn cut_connections(&self) {
        let mut admin = PgConnection::connect(&self.admin_url)
            .await
            .expect("a connection");
        sqlx::query("select pg_terminate_backend(pid) from pg_stat_activity where datname = $1")
            .bind(&self.name)
            .execute(&mut admin)
            .await
            .expect("connections are cut");
    }
}

impl Drop for TestDb {
    fn drop(&mut self) {
        let sql = format!("drop database if exists {} with (force)", self.name);
        let url = self.admin_url.clone();
        // A drop cannot wait inside the test's runtime, so it has a thread and a runtime of its own.
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.expect("a runtime").block_on(async {
                if let Ok(mut admin) = PgConnection::connect(&url).await {
                    // The watchdog deletes what is left.
                    let _ = admin.execute(AssertSqlSafe(sql)).await;
                }
            });
        });
        let _ = thread.join();
    }
}

/// The migrator's template; made by whoever comes first.
async fn template(
    admin: &mut PgConnection,
    migrator: &Migrator,
    url: impl Fn(&str) -> String,
) -> String {
    let mut name = "template_".to_owned();
    let mut sum = 0xcbf2_9ce4_8422_2325_u64;
    for migration in outbox::migrate::own().iter().chain(migrator.iter()) {
        for byte in migration
            .version
            .to_be_bytes()
            .iter()
            .chain(migration.checksum.iter())
        {
            sum = (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    write!(name, "{sum:016x}").expect("text");
    execute(admin, "select pg_advisory_lock(42)".to_owned()).await;
    let ready: Option<bool> =
        sqlx::query_scalar("select datistemplate from pg_database where datname = $1")
            .bind(&name)
            .fetch_optional(&mut *admin)
            .await
            .expect("databases are listed");
    if ready != Some(true) {
        // Not marked: whoever made it was killed half way.
        execute(admin, format!("drop database if exists {name}")).await;
        execute(admin, format!("create database {name} template template0")).await;
        migrate(migrator, &url(&name)).await;
        execute(
            admin,
            format!("alter database {name} with is_template true"),
        )
        .await;
    }
    execute(admin, "select pg_advisory_unlock(42)".to_owned()).await;
    name
}

async fn migrate(migrator: &Migrator, url: &str) {
    let Some(schema) = schema_of(migrator) else {
        return;
    };
    let schema = outbox::Schema::new(schema.leak());
    outbox::migrate::run(migrator, url, schema)
        .await
        .expect("migrations run");
}

/// The schema of the first `create table schema.table`.
fn schema_of(migrator: &Migrator) -> Option<String> {
    migrator.iter().find_map(|migration| {
        let sql = migration.sql.as_str().to_lowercase();
        let (_, table) = sql.split_once("create table ")?;
        let table = table
            .trim_start()
            .trim_start_matches("if not exists")
            .trim_start();
        let (schema, _) = table.split_whitespace().next()?.split_once('.')?;
        Some(schema.trim_matches('"').to_owned())
    })
}

async fn execute(conn: &mut PgConnection, sql: String) {
    let text = sql.clone();
    if let Err(error) = conn.execute(AssertSqlSafe(sql)).await {
        panic!("{text}: {error}");
    }
}

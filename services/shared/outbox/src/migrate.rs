//! Migrations: this crate's own tables and functions first, then the service's.

use std::borrow::Cow;
use std::time::Duration;

use futures::future::BoxFuture;
use sqlx::migrate::{MigrateError, Migration, Migrator};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, PgPool, SqlSafeStr};

use crate::error::Unhealthy;
use crate::schema::Schema;

/// Migrations that did not run.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// The database could not be asked.
    #[error("preparing migrations of schema {0}")]
    Database(&'static str, #[source] sqlx::Error),
    /// A migration failed.
    #[error("migrating schema {0}")]
    Migrate(&'static str, #[source] MigrateError),
    /// Somebody else has been migrating for too long.
    #[error("the migration lock of schema {0} stayed taken")]
    Locked(&'static str),
}

/// Tries at the lock, half a second apart; then at each migration that met a lock timeout.
const LOCK_TRIES: u32 = 600;
const CONNECT_TRIES: u32 = 60;
const MIGRATE_TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(500);

/// The tables and functions of this crate, for any schema: `{schema}` stands for it.
static OWN: Migrator = sqlx::migrate!("./migrations");

/// Where it is recorded which of a service's migrations have run.
const HISTORY: &str = "_migrations";
/// The same for the migrations of this crate.
const OWN_HISTORY: &str = "_outbox_migrations";

/// The migrations of this crate.
pub fn own() -> &'static Migrator {
    &OWN
}

/// The migrations of this crate for one schema. The checksum stays that of the file.
fn own_in(schema: Schema) -> Migrator {
    let migrations = OWN.iter().map(|migration| {
        let sql = schema.fill(migration.sql.as_str());
        Migration {
            sql: AssertSqlSafe(sql).into_sql_str(),
            ..migration.clone()
        }
    });
    recorded_in(migrations.collect(), schema.table(OWN_HISTORY))
}

fn recorded_in(migrations: Vec<Migration>, table: String) -> Migrator {
    Migrator {
        migrations: Cow::Owned(migrations),
        // A schema may be newer than this build (a rollback), or older than the files that are left:
        // services once created the tables of this crate themselves.
        ignore_missing: true,
        // `run` holds a lock already.
        locking: false,
        table_name: Cow::Owned(table),
        ..Migrator::DEFAULT
    }
}

/// Brings `schema` up to this build: first the tables and functions of this crate, then the service's
/// `migrator`, each with a history of its own. Safe to run from many processes at once and to repeat.
///
/// The lock is tried for, not waited for: a session that waits in `pg_advisory_lock` holds a
/// snapshot, and `create index concurrently` of the one inside would wait for it for ever.
///
/// The future is boxed, so that it is compiled here and not in the program of each service.
pub fn run<'a>(
    migrator: &'a Migrator,
    url: &'a str,
    schema: Schema,
) -> BoxFuture<'a, Result<(), MigrationError>> {
    Box::pin(migrate(migrator, url, schema))
}

async fn migrate(migrator: &Migrator, url: &str, schema: Schema) -> Result<(), MigrationError> {
    let database = |error| MigrationError::Database(schema.name(), error);
    let mut conn = open(url).await.map_err(database)?;
    let key = format!("migrate {}", schema.name());
    for attempt in 1.. {
        let locked: bool =
            sqlx::query_scalar("select pg_try_advisory_lock(hashtextextended($1, 0))")
                .bind(&key)
                .fetch_one(&mut conn)
                .await
                .map_err(database)?;
        if locked {
            break;
        }
        if attempt >= LOCK_TRIES {
            return Err(MigrationError::Locked(schema.name()));
        }
        tokio::time::sleep(PAUSE).await;
    }
    create_schema(&mut conn, schema).await.map_err(database)?;
    let service = recorded_in(migrator.iter().cloned().collect(), schema.table(HISTORY));
    let result = match run_patiently(&own_in(schema), &mut conn).await {
        Ok(()) => run_patiently(&service, &mut conn).await,
        failed => failed,
    };
    // Closing the session gives the lock back.
    let _ = conn.close().await;
    result.map_err(|error| MigrationError::Migrate(schema.name(), error))
}

async fn open(url: &str) -> Result<PgConnection, sqlx::Error> {
    let options: sqlx::postgres::PgConnectOptions = url.parse()?;
    let options = options
        .application_name("migrate")
        .options([("lock_timeout", "5s")]);
    let mut attempt = 1;
    loop {
        match options.connect().await {
            Ok(conn) => return Ok(conn),
            Err(sqlx::Error::Io(error)) if attempt < CONNECT_TRIES => {
                tracing::info!(%error, attempt, "waiting for the database");
            }
            // 57P03: the server is starting up.
            Err(sqlx::Error::Database(error))
                if attempt < CONNECT_TRIES && error.code().as_deref() == Some("57P03") => {}
            Err(error) => return Err(error),
        }
        attempt += 1;
        tokio::time::sleep(PAUSE).await;
    }
}

/// `create schema if not exists` needs the right to create even when it exists: look first.
async fn create_schema(conn: &mut PgConnection, schema: Schema) -> Result<(), sqlx::Error> {
    let exists: bool = sqlx::query_scalar("select to_regnamespace(quote_ident($1)) is not null")
        .bind(schema.name())
        .fetch_one(&mut *conn)
        .await?;
    if !exists {
        let sql = format!("create schema if not exists \"{}\"", schema.name());
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(conn).await?;
    }
    Ok(())
}

async fn run_patiently(migrator: &Migrator, conn: &mut PgConnection) -> Result<(), MigrateError> {
    let mut attempt = 1;
    loop {
        match migrator.run_direct(None, conn, false).await {
            Err(error) if attempt < MIGRATE_TRIES && is_lock_timeout(&error) => {
                tracing::warn!(attempt, "a migration met a lock, trying again");
                tokio::time::sleep(PAUSE * attempt).await;
                attempt += 1;
            }
            result => return result,
        }
    }
}

fn is_lock_timeout(error: &MigrateError) -> bool {
    let (MigrateError::Execute(source) | MigrateError::ExecuteMigration(source, _)) = error else {
        return false;
    };
    source
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .as_deref()
        == Some("55P03")
}

/// Ready to serve: the pool answers, from a primary that takes writes, with at least the migrations of this build.
pub async fn ready(pool: &PgPool, migrator: &Migrator, schema: Schema) -> Result<(), Unhealthy> {
    let sql = format!(
        "select pg_is_in_recovery(), current_setting('transaction_read_only')::bool,
                (select max(version) from {} where success),
                (select max(version) from {} where success)",
        schema.table(OWN_HISTORY),
        schema.table(HISTORY)
    );
    let (in_recovery, read_only, own, service): (bool, bool, Option<i64>, Option<i64>) =
        sqlx::query_as(AssertSqlSafe(sql)).fetch_one(pool).await?;
    if in_recovery {
        return Err(Unhealthy::InRecovery);
    }
    if read_only {
        return Err(Unhealthy::ReadOnly);
    }
    reached(own, &OWN)?;
    reached(service, migrator)
}

fn reached(found: Option<i64>, migrator: &Migrator) -> Result<(), Unhealthy> {
    let versions = migrator.iter().map(|migration| migration.version);
    let expected = versions.max().unwrap_or(0);
    if found.unwrap_or(0) >= expected {
        Ok(())
    } else {
        Err(Unhealthy::Behind { found, expected })
    }
}

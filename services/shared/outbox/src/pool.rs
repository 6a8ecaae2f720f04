//! Connections to the service's own database, with every wait bounded.

use std::str::FromStr;
use std::time::Duration;

use sqlx::Transaction;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions, Postgres};

/// A probe that takes longer has failed: half-open sockets hang for minutes.
const PROBE: Duration = Duration::from_secs(1);

/// A pool that connects when first used, so that a process starts while its database does not.
///
/// Bounded: acquire 3 s, statement 10 s, lock 3 s, idle in transaction 15 s, connection 30 min.
/// A server in recovery (a demoted primary) is left within seconds, also by busy connections.
pub fn connect(uri: &str, max: u32, application: &str) -> Result<PgPool, sqlx::Error> {
    let options = PgConnectOptions::from_str(uri)?
        .application_name(application)
        .options([
            ("statement_timeout", "10s"),
            ("lock_timeout", "3s"),
            ("idle_in_transaction_session_timeout", "15s"),
        ]);
    let pool = PgPoolOptions::new()
        .max_connections(max)
        .acquire_timeout(Duration::from_secs(3))
        .max_lifetime(Duration::from_secs(30 * 60))
        .idle_timeout(Duration::from_secs(5 * 60))
        .test_before_acquire(false)
        .after_connect(|conn, _| Box::pin(refuse_recovery(conn)))
        .before_acquire(|conn, meta| {
            // Idle connections may be dead. Busy ones are asked during one second in ten: a pool
            // under load must notice a demoted primary too, without a round trip per request.
            let ask = meta.idle_for > Duration::from_secs(5) || meta.age.as_secs() % 10 == 9;
            Box::pin(async move {
                if !ask {
                    return Ok(true);
                }
                let probe = tokio::time::timeout(PROBE, is_primary(conn)).await;
                Ok(matches!(probe, Ok(Ok(true))))
            })
        });
    Ok(pool.connect_lazy_with(options))
}

/// Begins a transaction, and may be dropped at any time, as a request is whose client hangs up.
///
/// sqlx's own `begin` may not: dropped while the server answers, it leaves a connection in the pool that is inside of a transaction
/// and does not know it. Statements of its next user succeed and are never committed.
#[expect(
    clippy::disallowed_methods,
    reason = "drain waits for the caller; the task only outlives a caller that was dropped, by one round trip"
)]
pub async fn begin(pool: &PgPool) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    let pool = pool.clone();
    let task = tokio::spawn(async move { pool.begin().await });
    task.await.unwrap_or(Err(sqlx::Error::WorkerCrashed))
}

async fn is_primary(conn: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("select not pg_is_in_recovery()")
        .fetch_one(conn)
        .await
}

async fn refuse_recovery(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    if is_primary(conn).await? {
        Ok(())
    } else {
        Err(sqlx::Error::Configuration(
            "the server is in recovery".into(),
        ))
    }
}

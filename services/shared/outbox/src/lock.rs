//! At most one active relay and consumer: a session advisory lock on a connection of its own.

use std::time::Duration;

use bus::Transport;
use sqlx::postgres::PgPool;
use sqlx::{ConnectOptions, PgConnection};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::error::{Attempting, OutboxError};

/// A statement that takes longer has met a dead socket: sqlx sets no keepalive.
const STATEMENT: Duration = Duration::from_secs(15);

/// Limits a wait for the database.
pub(crate) async fn timed<T>(
    action: &'static str,
    work: impl Future<Output = Result<T, OutboxError>>,
) -> Result<T, OutboxError> {
    tokio::time::timeout(STATEMENT, work)
        .await
        .unwrap_or(Err(OutboxError::TimedOut(action)))
}

/// Waits until the bus is connected; false if shutdown comes first. Requests to a bus that is away end
/// in a timeout of seconds, during which it may have come back.
pub(crate) async fn connected(bus: &dyn Transport, shutdown: &CancellationToken) -> bool {
    while bus.connection().is_none() {
        tokio::select! {
            () = shutdown.cancelled() => return false,
            () = sleep(Duration::from_millis(50)) => {}
        }
    }
    true
}

/// Waits until this process holds the lock `name`; none if shutdown comes first. The lock is held as
/// long as the connection lives: work that must not be done twice at a time is done over it.
pub(crate) async fn acquire(
    pool: &PgPool,
    name: &str,
    retry: Duration,
    shutdown: &CancellationToken,
) -> Result<Option<PgConnection>, OutboxError> {
    let connect = async {
        let connected = pool.connect_options().connect().await;
        connected.attempting("connect")
    };
    let mut conn = timed("connect", connect).await?;
    loop {
        let ask = async {
            sqlx::query_scalar::<_, bool>(
                "select not pg_is_in_recovery() and pg_try_advisory_lock(hashtextextended($1, 0))",
            )
            .bind(name)
            .fetch_one(&mut conn)
            .await
            .attempting("acquire the lock")
        };
        if timed("acquire the lock", ask).await? {
            return Ok(Some(conn));
        }
        tokio::select! {
            () = shutdown.cancelled() => return Ok(None),
            () = sleep(retry) => {}
        }
    }
}

/// Runs `session` again and again until shutdown, with a growing pause after failures.
pub(crate) async fn supervise<F, Fut>(what: &str, shutdown: &CancellationToken, mut session: F)
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<(), OutboxError>>,
{
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
    while !shutdown.is_cancelled() {
        let started = Instant::now();
        let ended = session().await;
        if started.elapsed() > Duration::from_secs(5) {
            backoff.reset();
        }
        let pause = backoff.pause();
        if let Err(error) = ended {
            let error: &(dyn std::error::Error + 'static) = &error;
            tracing::warn!(
                error,
                retry_millis = pause.as_millis(),
                "{what} interrupted"
            );
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = sleep(pause) => {}
        }
    }
}

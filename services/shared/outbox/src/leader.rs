//! One of many: a session advisory lock on a connection of its own.

use std::time::Duration;

use async_nats::Client;
use async_nats::connection::State;
use sqlx::postgres::PgPool;
use sqlx::{ConnectOptions, PgConnection};
use tokio_util::sync::CancellationToken;

use crate::error::{Doing, OutboxError};

/// A statement that takes longer has met a dead socket: sqlx sets no keepalive.
const STATEMENT: Duration = Duration::from_secs(15);

/// Bounds a wait for the database.
pub(crate) async fn timed<T>(
    doing: &'static str,
    work: impl Future<Output = Result<T, OutboxError>>,
) -> Result<T, OutboxError> {
    tokio::time::timeout(STATEMENT, work)
        .await
        .unwrap_or(Err(OutboxError::TimedOut(doing)))
}

/// Waits for the bus; false if told to stop first. Asking a bus that is away ends in a timeout of
/// seconds, during which it may have come back.
pub(crate) async fn connected(bus: &Client, shutdown: &CancellationToken) -> bool {
    while bus.connection_state() != State::Connected {
        tokio::select! {
            () = shutdown.cancelled() => return false,
            () = tokio::time::sleep(Duration::from_millis(50)) => {}
        }
    }
    true
}

/// Waits until this process holds the lock `name`; none if it is told to stop first. The lock lives
/// as long as the connection: work that must not be done by two is done over it.
pub(crate) async fn lead(
    pool: &PgPool,
    name: &str,
    retry: Duration,
    shutdown: &CancellationToken,
) -> Result<Option<PgConnection>, OutboxError> {
    let connect = async { pool.connect_options().connect().await.doing("connect") };
    let mut conn = timed("connect", connect).await?;
    loop {
        let ask = async {
            sqlx::query_scalar::<_, bool>(
                "select not pg_is_in_recovery() and pg_try_advisory_lock(hashtextextended($1, 0))",
            )
            .bind(name)
            .fetch_one(&mut conn)
            .await
            .doing("ask for the lock")
        };
        if timed("ask for the lock", ask).await? {
            return Ok(Some(conn));
        }
        tokio::select! {
            () = shutdown.cancelled() => return Ok(None),
            () = tokio::time::sleep(retry) => {}
        }
    }
}

/// Runs `session` again and again until shutdown, with a growing pause after failures.
pub(crate) async fn for_ever<F, Fut>(what: &str, shutdown: &CancellationToken, mut session: F)
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<(), OutboxError>>,
{
    let mut pause = Duration::from_millis(100);
    while !shutdown.is_cancelled() {
        let started = tokio::time::Instant::now();
        if let Err(error) = session().await {
            let error: &(dyn std::error::Error + 'static) = &error;
            tracing::warn!(
                error,
                retry_millis = pause.as_millis(),
                "{what} interrupted"
            );
        }
        if started.elapsed() > Duration::from_secs(5) {
            pause = Duration::from_millis(100);
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        pause = (pause * 2).min(Duration::from_secs(5));
    }
}

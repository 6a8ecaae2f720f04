//! One session with the bus: from getting the lock until something breaks.

use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::jetstream::consumer::PullConsumer;
use async_nats::jetstream::stream::Stream;
use sqlx::{AssertSqlSafe, PgConnection};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::pull::{HAND_BACK, Loan, pull};
use super::returns::Returns;
use super::{Consumer, Effects, apply, dead};
use crate::bus::{ACK_WAIT, StreamState, ensure_consumer, ensure_stream, state_of};
use crate::error::{Doing, DoingOnBus, OutboxError};
use crate::leader::{connected, lead, timed};

/// The stream notices that a loan is over a little later than it is, a new leader of it later still.
const MARGIN: Duration = Duration::from_millis(1_500);

pub async fn run<E: Effects>(
    consumer: &Consumer<E>,
    shutdown: &CancellationToken,
) -> Result<(), OutboxError> {
    let name = consumer.effects.consumer();
    let lock = format!("outbox consumer {} {name}", consumer.schema.name());
    let standby = consumer.options.standby;
    let Some(mut conn) = lead(&consumer.pool, &lock, standby, shutdown).await? else {
        return Ok(());
    };
    if !connected(&consumer.bus, shutdown).await {
        return Ok(());
    }
    let stream = ensure_stream(&consumer.bus).await?;
    let born = state_of(&stream.get_info().await.on_bus("look at the stream")?);
    let durable = durable(name, &stream).await?;
    let loans = loans(consumer, &stream).await?;
    tracing::info!(consumer = name, "consuming");
    // Whichever ends first ends the other, which then hands back what it has on loan.
    let ending = shutdown.child_token();
    let watching = async {
        let result = tokio::select! {
            result = watch(consumer, &mut conn, &stream, born) => result,
            () = ending.cancelled() => Ok(()),
        };
        ending.cancel();
        result
    };
    let pulling = async {
        let result = pull(consumer, &durable, loans, &ending).await;
        ending.cancel();
        result
    };
    let (watched, pulled) = tokio::join!(watching, pulling);
    let ended = watched.and(pulled);
    // What is handed back goes to whoever leads the consumer. A bus that does not answer may be
    // without one, and then nobody took it: what was on loan comes back when its time is over.
    if ended.as_ref().is_err_and(OutboxError::is_of_the_bus) {
        consumer.handed_back.store(false, Ordering::Relaxed);
    }
    ended
}

/// Makes or updates the durable consumer. One that has seen more than the stream holds belongs to a
/// stream that was restored from a backup: it would wait in silence for sequences to come, so it
/// starts anew, and the inbox swallows what it has heard before.
async fn durable(name: &str, stream: &Stream) -> Result<PullConsumer, OutboxError> {
    let made = ensure_consumer(stream, name).await?;
    if !is_ahead(name, stream).await? {
        return Ok(made);
    }
    tracing::warn!(
        consumer = name,
        "consumer is ahead of its stream: starting anew"
    );
    stream
        .delete_consumer(name)
        .await
        .on_bus("delete the consumer")?;
    ensure_consumer(stream, name).await
}

/// True if the consumer has seen more than the stream holds. Asks the consumer first: in between
/// the stream may grow, but not shrink.
async fn is_ahead(name: &str, stream: &Stream) -> Result<bool, OutboxError> {
    let info = stream
        .consumer_info(name)
        .await
        .on_bus("look at the consumer")?;
    let delivered = i64::try_from(info.delivered.stream_sequence).unwrap_or(i64::MAX);
    let now = state_of(&stream.get_info().await.on_bus("look at the stream")?);
    Ok(delivered > now.last_seq)
}

/// What a predecessor has on loan. It must be worked on before what was never lent, or an aggregate's
/// events would be applied out of order.
async fn loans<E: Effects>(
    consumer: &Consumer<E>,
    stream: &Stream,
) -> Result<Returns<Loan>, OutboxError> {
    let name = consumer.effects.consumer();
    let info = stream
        .consumer_info(name)
        .await
        .on_bus("look at the consumer")?;
    let handed_back = consumer.handed_back.swap(false, Ordering::Relaxed);
    let wait = if handed_back { HAND_BACK } else { ACK_WAIT } + MARGIN;
    if info.num_ack_pending > 0 {
        tracing::info!(
            consumer = name,
            on_loan = info.num_ack_pending,
            "waiting for loans"
        );
    }
    let until = Instant::now() + wait;
    let up_to = info.delivered.stream_sequence;
    Ok(Returns::of(info.num_ack_pending, up_to, until))
}

/// Ends with an error when the ground has moved: another stream, another consumer, a lost lock.
async fn watch<E: Effects>(
    consumer: &Consumer<E>,
    conn: &mut PgConnection,
    stream: &Stream,
    born: StreamState,
) -> Result<(), OutboxError> {
    let name = consumer.effects.consumer();
    let mut due = interval(consumer.options.check);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        due.tick().await;
        timed("sweep the inbox", sweep(conn, consumer)).await?;
        let open = timed("count", dead::count(conn, consumer.schema, name)).await?;
        consumer.metrics.dead_letters.set(open);
        if let Err(error) = apply::replays(consumer).await {
            let error: &(dyn std::error::Error + 'static) = &error;
            tracing::warn!(error, "replays interrupted");
        }
        let now = state_of(&stream.get_info().await.on_bus("look at the stream")?);
        if now.created != born.created || is_ahead(name, stream).await? {
            return Err(OutboxError::Replaced);
        }
    }
}

async fn sweep<E: Effects>(
    conn: &mut PgConnection,
    consumer: &Consumer<E>,
) -> Result<(), OutboxError> {
    let inbox = consumer.schema.table("inbox");
    let sql = format!(
        "delete from {inbox} where ctid = any (array(
             select ctid from {inbox} where seen_at < now() - interval '30 days' limit 1000))"
    );
    sqlx::query(AssertSqlSafe(sql))
        .execute(conn)
        .await
        .doing("sweep the inbox")?;
    Ok(())
}

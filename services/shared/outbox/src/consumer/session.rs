//! One session with the bus: from getting the lock until something breaks.

use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::jetstream::consumer::{PullConsumer, pull};
use async_nats::jetstream::stream::Stream;
use async_nats::jetstream::{AckKind, Message};
use events::{DecodeError, Event};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use sqlx::{AssertSqlSafe, PgConnection};
use tokio::sync::Semaphore;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::apply::{self, Ending};
use super::lanes::Lanes;
use super::{Consumer, Effects, dead};
use crate::bus::{self, StreamState, ensure_consumer, ensure_stream, state_of};
use crate::error::{Doing, DoingOnBus, OutboxError};
use crate::leader::{connected, lead, timed};
use crate::relay::receipts::{self, Receipt};

/// How often the stream is told that a message is still being worked on.
const PROGRESS: Duration = Duration::from_secs(3);
/// How often it is looked whether the bus has been away.
const LOOK: Duration = Duration::from_millis(500);
/// How long the stream's confirmation of an acknowledgement is waited for.
const CONFIRM: Duration = Duration::from_secs(1);
/// What is handed back comes again after this time: by then the request that it would otherwise
/// come back to is closed.
const HAND_BACK: Duration = Duration::from_millis(300);
/// What is being applied at shutdown may take this long to end.
const LAST_EFFECTS: Duration = Duration::from_secs(4);

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
    let context = bus::context(&consumer.bus);
    let stream = ensure_stream(&context).await?;
    let born = state_of(&stream.get_info().await.on_bus("look at the stream")?);
    let durable = durable(name, &stream, born).await?;
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
        let result = pull(consumer, &durable, &ending).await;
        ending.cancel();
        result
    };
    let (watched, pulled) = tokio::join!(watching, pulling);
    watched.and(pulled)
}

/// Makes or updates the durable consumer. One that has seen more than the stream holds belongs to a
/// stream that was restored from a backup: it would wait in silence for sequences to come, so it
/// starts anew, and the inbox swallows what it has heard before.
async fn durable(
    name: &str,
    stream: &Stream,
    seen: StreamState,
) -> Result<PullConsumer, OutboxError> {
    let made = ensure_consumer(stream, name).await?;
    let delivered = made.cached_info().delivered.stream_sequence;
    if i64::try_from(delivered).unwrap_or(i64::MAX) <= seen.last_seq {
        return Ok(made);
    }
    tracing::warn!(
        consumer = name,
        delivered,
        "consumer is ahead of its stream: starting anew"
    );
    stream
        .delete_consumer(name)
        .await
        .on_bus("delete the consumer")?;
    ensure_consumer(stream, name).await
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
        let info = stream
            .consumer_info(name)
            .await
            .on_bus("look at the consumer")?;
        let delivered = i64::try_from(info.delivered.stream_sequence).unwrap_or(i64::MAX);
        if now.created != born.created || delivered > now.last_seq {
            return Err(OutboxError::TimedOut(
                "the stream was replaced; the next look",
            ));
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

/// A message and the event in it.
struct Loan {
    message: Message,
    event: Event,
}

async fn pull<E: Effects>(
    consumer: &Consumer<E>,
    durable: &PullConsumer,
    ending: &CancellationToken,
) -> Result<(), OutboxError> {
    let connects = consumer.bus.statistics().connects.load(Ordering::Relaxed);
    let mut messages = durable
        .stream()
        .max_messages_per_batch(64)
        .expires(Duration::from_secs(30))
        .heartbeat(Duration::from_secs(5))
        .messages()
        .await
        .on_bus("pull")?;
    let permits = Semaphore::new(consumer.options.concurrency);
    let mut lanes = Lanes::default();
    let mut working = FuturesUnordered::new();
    let (mut progress, mut look) = (interval(PROGRESS), interval(LOOK));
    let result = loop {
        tokio::select! {
            () = ending.cancelled() => break Ok(()),
            // Bounded by max_ack_pending: the stream lends no more.
            next = messages.next() => {
                let message = match next {
                    Some(Ok(message)) => message,
                    Some(Err(error)) => break Err(error).on_bus("pull"),
                    None => break Err(OutboxError::TimedOut("pull")),
                };
                let Some(loan) = read(consumer, message).await else { continue };
                let lane = loan.event.aggregate.clone();
                if let Some(loan) = lanes.enter(&lane, loan) {
                    working.push(work(consumer, &permits, loan));
                }
            }
            Some(lane) = working.next() => {
                if let Some(loan) = lanes.leave(&lane) {
                    working.push(work(consumer, &permits, loan));
                }
            }
            _ = progress.tick() => {
                for loan in lanes.waiting() {
                    acknowledge(&loan.message, AckKind::Progress).await;
                }
            }
            // The request that was open is gone with the old connection: start anew at once
            // instead of missing heartbeats.
            _ = look.tick() => {
                if consumer.bus.statistics().connects.load(Ordering::Relaxed) != connects {
                    tracing::info!("the bus was away");
                    break Ok(());
                }
            }
        }
    };
    // No new work; what was begun may end, the rest goes back at once.
    let last = async { while working.next().await.is_some() {} };
    let _ = tokio::time::timeout(LAST_EFFECTS, last).await;
    for loan in lanes.waiting() {
        acknowledge(&loan.message, AckKind::Nak(Some(HAND_BACK))).await;
    }
    hand_back(&mut messages).await;
    let _ = tokio::time::timeout(Duration::from_secs(1), consumer.bus.flush()).await;
    result
}

/// Gives back what has arrived and was not looked at: otherwise it would be on loan to nobody.
async fn hand_back(messages: &mut pull::Stream) {
    for _ in 0..512 {
        match tokio::time::timeout(Duration::from_millis(50), messages.next()).await {
            Ok(Some(Ok(message))) => acknowledge(&message, AckKind::Nak(Some(HAND_BACK))).await,
            Ok(Some(Err(_)) | None) | Err(_) => return,
        }
    }
}

/// The event in a message. What is not for this build is dropped here.
async fn read<E: Effects>(consumer: &Consumer<E>, message: Message) -> Option<Loan> {
    match Event::from_slice(&message.payload) {
        Ok(event) => Some(Loan { message, event }),
        Err(error) => {
            // An unknown type is a newer service's business; the rest is not one of our events.
            let ty = if matches!(error, DecodeError::UnknownType(_)) {
                "unknown"
            } else {
                "none"
            };
            tracing::error!(%error, subject = %message.subject, "message is not an event, dropped");
            consumer
                .metrics
                .handled
                .with_label_values(&[ty, "unreadable"])
                .inc();
            acknowledge(&message, AckKind::Term).await;
            None
        }
    }
}

/// Works on one message and names its lane when done.
async fn work<E: Effects>(consumer: &Consumer<E>, permits: &Semaphore, loan: Loan) -> String {
    let Loan { message, event } = loan;
    let keep = async {
        let mut due = interval(PROGRESS);
        due.tick().await;
        loop {
            due.tick().await;
            acknowledge(&message, AckKind::Progress).await;
        }
    };
    let ending = tokio::select! {
        ending = apply::settle(consumer, permits, &event) => ending,
        () = keep => unreachable!("progress is reported for ever"),
    };
    send_receipt(consumer, &event).await;
    let kind = if ending == Ending::Dead {
        AckKind::Term
    } else {
        AckKind::Ack
    };
    // Committed: if the acknowledgement is lost, the message comes again and is a duplicate.
    let ack = tokio::time::timeout(CONFIRM, message.double_ack_with(kind)).await;
    if !matches!(ack, Ok(Ok(()))) {
        tracing::info!("acknowledgement not confirmed");
    }
    event.aggregate
}

async fn send_receipt<E: Effects>(consumer: &Consumer<E>, event: &Event) {
    let receipt = Receipt {
        event_id: event.id.as_uuid(),
        consumer: consumer.effects.consumer().to_owned(),
    };
    let Ok(json) = serde_json::to_vec(&receipt) else {
        return;
    };
    let subject = receipts::subject(event.ty.producer());
    if let Err(error) = consumer.bus.publish(subject, json.into()).await {
        // The producer will ask again by publishing again.
        tracing::warn!(error = &error as &dyn std::error::Error, "receipt not sent");
    }
}

async fn acknowledge(message: &Message, kind: AckKind) {
    if let Err(error) = message.ack_with(kind).await {
        tracing::warn!(error, "acknowledgement not sent");
    }
}

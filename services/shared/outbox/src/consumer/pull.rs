//! Pulls messages and works on them, lane by lane.

use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::jetstream::consumer::{PullConsumer, pull};
use async_nats::jetstream::{AckKind, Message};
use events::{DecodeError, Event};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::sync::Semaphore;
use tokio::time::interval;
use tokio_util::sync::CancellationToken;

use super::apply::{self, Ending};
use super::lanes::Lanes;
use super::{Consumer, Effects};
use crate::error::{DoingOnBus, OutboxError};
use crate::relay::receipts::{self, Receipt};

/// How often the stream is told that a message is still being worked on.
const PROGRESS: Duration = Duration::from_millis(1_500);
/// How often it is looked whether the bus has been away.
const LOOK: Duration = Duration::from_millis(500);
/// How long the stream's confirmation of an acknowledgement is waited for.
const CONFIRM: Duration = Duration::from_secs(1);
/// What is being applied at shutdown may take this long to end.
const LAST_EFFECTS: Duration = Duration::from_secs(4);
/// What is handed back comes again after this time: by then the request that it would otherwise
/// come back to is closed.
pub const HAND_BACK: Duration = Duration::from_millis(300);

/// A message and the event in it.
struct Loan {
    message: Message,
    event: Event,
}

/// Pulls and works until told to end, or until something breaks; then hands back.
pub async fn pull<E: Effects>(
    consumer: &Consumer<E>,
    durable: &PullConsumer,
    ending: &CancellationToken,
) -> Result<(), OutboxError> {
    let connects = times(consumer);
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
                if times(consumer) != connects {
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
    let flushed = tokio::time::timeout(Duration::from_secs(1), consumer.bus.flush()).await;
    // What was on its way when the connection broke is on loan to nobody.
    let whole = working.is_empty() && matches!(flushed, Ok(Ok(()))) && times(consumer) == connects;
    consumer.handed_back.store(whole, Ordering::Relaxed);
    result
}

/// How often the bus was connected to.
fn times<E>(consumer: &Consumer<E>) -> u64 {
    consumer.bus.statistics().connects.load(Ordering::Relaxed)
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

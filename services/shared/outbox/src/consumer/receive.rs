//! Receives messages and handles them, queue by queue: an event at the head of its aggregate's queue
//! may share a transaction with the heads of others.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bus::{Message, Position, Subscription};
use events::{DecodeError, Event};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::context::Context;
use super::handler::Handler;
use super::process;
use super::queues::Queues;
use crate::error::OutboxError;
use crate::relay::receipts::Receipts;

/// Handlers that run at shutdown may take this long to end.
const LAST_HANDLERS: Duration = Duration::from_secs(4);

/// An event and where it came from.
struct Delivery {
    position: Position,
    event: Event,
}

/// What became of deliveries that were worked on.
enum Worked {
    /// Their outcome is committed.
    Settled(Vec<Delivery>),
    /// They could not be handled in one transaction.
    Separate(Vec<Delivery>),
}

/// Receives and handles until `ending`, or until something breaks; then hands back.
pub async fn run<H: Handler>(
    consumer: &Context<H>,
    mut subscription: Box<dyn Subscription>,
    ending: &CancellationToken,
) -> Result<(), OutboxError> {
    let permits = Semaphore::new(consumer.options.concurrency);
    let batch_size = consumer.handler.batch_size().max(1);
    let mut queues = Queues::default();
    // Deliveries that may be worked on. Their number is bounded by the subscription.
    let mut heads = VecDeque::new();
    let mut begin_at = Instant::now();
    let mut working = FuturesUnordered::new();
    let result = loop {
        tokio::select! {
            () = ending.cancelled() => break Ok(()),
            message = subscription.next() => {
                let message = match message {
                    Ok(message) => message,
                    Err(error) => break Err(error.into()),
                };
                match read(consumer, &message) {
                    Some(delivery) => {
                        let aggregate = delivery.event.aggregate.clone();
                        heads.extend(queues.push(&aggregate, delivery));
                    }
                    None => subscription.ack(&[message.position]).await,
                }
            }
            () = sleep_until(begin_at), if !heads.is_empty() => {
                if batch_size > 1 {
                    begin_at = Instant::now() + consumer.options.pace;
                }
                while !heads.is_empty() {
                    let batch = heads.drain(..batch_size.min(heads.len())).collect();
                    working.push(work(consumer, &permits, batch));
                }
            }
            Some(worked) = working.next() => match worked {
                Worked::Settled(batch) => {
                    subscription.ack(&positions(&batch)).await;
                    heads.extend(batch.iter().filter_map(|done| queues.pop(&done.event.aggregate)));
                }
                Worked::Separate(batch) => {
                    for delivery in batch {
                        working.push(work(consumer, &permits, vec![delivery]));
                    }
                }
            },
        }
    };
    // Nothing new is begun. What runs may end; the subscription is asked on, which keeps it in flight.
    let last = async {
        let mut is_open = true;
        loop {
            tokio::select! {
                worked = working.next() => match worked {
                    Some(Worked::Settled(batch)) => subscription.ack(&positions(&batch)).await,
                    Some(Worked::Separate(_)) => {}
                    None => break,
                },
                message = subscription.next(), if is_open => is_open = message.is_ok(),
            }
        }
    };
    let _ = tokio::time::timeout(LAST_HANDLERS, last).await;
    drop(working);
    subscription.close().await;
    result
}

fn positions(batch: &[Delivery]) -> Vec<Position> {
    batch.iter().map(|delivery| delivery.position).collect()
}

/// The event in a message; none if this build cannot handle it.
fn read<H>(consumer: &Context<H>, message: &Message) -> Option<Delivery> {
    let position = message.position;
    match Event::from_slice(&message.body) {
        Ok(event) => Some(Delivery { position, event }),
        Err(error) => {
            // An unknown type was added by a newer service; the rest is not one of our events.
            let ty = if matches!(error, DecodeError::UnknownType(_)) {
                "unknown"
            } else {
                "none"
            };
            let offset = position.offset;
            tracing::error!(%error, offset, "message is not an event this build knows; dropped");
            let handled = &consumer.metrics.handled;
            handled.with_label_values(&[ty, "unreadable"]).inc();
            None
        }
    }
}

/// Works on the heads of some queues. One alone is settled, whatever that takes; several are handled in
/// one transaction, or given back.
async fn work<H: Handler>(
    consumer: &Context<H>,
    permits: &Semaphore,
    batch: Vec<Delivery>,
) -> Worked {
    if let [delivery] = batch.as_slice() {
        process::settle(consumer, permits, &delivery.event).await;
    } else {
        let events = batch.iter().map(|delivery| &delivery.event).collect();
        if process::batch(consumer, permits, events).await.is_err() {
            return Worked::Separate(batch);
        }
    }
    // Committed: if what follows gets lost, the message comes again and is a duplicate.
    send_receipts(consumer, &batch).await;
    Worked::Settled(batch)
}

/// Sends one message to each producer of these events.
async fn send_receipts<H: Handler>(consumer: &Context<H>, batch: &[Delivery]) {
    let mut by_producer: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    for Delivery { event, .. } in batch {
        let ids = by_producer.entry(event.ty.producer()).or_default();
        ids.push(event.id.as_uuid());
    }
    for (producer, event_ids) in by_producer {
        let receipts = Receipts {
            consumer: consumer.handler.consumer().to_owned(),
            event_ids,
        };
        let Ok(json) = serde_json::to_vec(&receipts) else {
            return;
        };
        if let Err(error) = consumer.bus.send_receipts(producer, json.into()).await {
            // The producer publishes again what lacks a receipt.
            let error: &(dyn std::error::Error + 'static) = &error;
            tracing::warn!(error, "receipts not sent");
        }
    }
}

//! Pulls messages and works on them, lane by lane: what is at the head of its lane is applied
//! together with the heads of others.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::jetstream::consumer::{PullConsumer, pull};
use async_nats::jetstream::{AckKind, Message};
use events::{DecodeError, Event};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::sync::Semaphore;
use tokio::time::{Instant, interval, sleep_until};
use tokio_util::sync::CancellationToken;

use super::apply::{self, Ending};
use super::lanes::Lanes;
use super::returns::Returns;
use super::{Consumer, Effects};
use crate::error::{DoingOnBus, OutboxError};
use crate::relay::receipts::{self, Heard};

/// How often the stream is told that a message is still being worked on.
const PROGRESS: Duration = Duration::from_millis(1_500);
/// How often it is looked whether the bus has been away.
const LOOK: Duration = Duration::from_millis(500);
/// What is being applied at shutdown may take this long to end.
const LAST_EFFECTS: Duration = Duration::from_secs(4);
/// What is handed back comes again after this time: by then the request that it would otherwise
/// come back to is closed.
pub const HAND_BACK: Duration = Duration::from_millis(300);

/// A message and the event in it.
pub struct Loan {
    message: Message,
    event: Event,
}

/// What became of loans that were worked on.
#[derive(Default)]
struct Worked {
    /// Lanes whose head is settled.
    lanes: Vec<String>,
    /// Loans that could not be applied together.
    apart: Vec<Loan>,
}

/// Pulls and works until told to end, or until something breaks; then hands back.
pub async fn pull<E: Effects>(
    consumer: &Consumer<E>,
    durable: &PullConsumer,
    mut returns: Returns<Loan>,
    ending: &CancellationToken,
) -> Result<(), OutboxError> {
    let connects = times(consumer);
    let mut messages = open(durable).await?;
    let permits = Semaphore::new(consumer.options.concurrency);
    let mut lanes = Lanes::default();
    let mut heads = VecDeque::new();
    let mut begin_at = Instant::now();
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
                let sequence = message.info().map_or(0, |info| info.stream_sequence);
                let loan = read(consumer, message).await;
                heads.extend(enter(&mut lanes, returns.come(sequence, loan)));
            }
            () = sleep_until(returns.until()), if returns.are_out() => {
                heads.extend(enter(&mut lanes, returns.end()));
            }
            () = sleep_until(begin_at), if !heads.is_empty() => {
                let most = consumer.effects.together().max(1);
                if most > 1 {
                    begin_at = Instant::now() + consumer.options.pace;
                }
                while !heads.is_empty() {
                    let loans = heads.drain(..most.min(heads.len())).collect();
                    working.push(work(consumer, &permits, loans));
                }
            }
            Some(worked) = working.next() => {
                for loan in worked.apart {
                    working.push(work(consumer, &permits, vec![loan]));
                }
                heads.extend(worked.lanes.iter().filter_map(|lane| lanes.leave(lane)));
            }
            _ = progress.tick() => {
                let waiting = returns.held().chain(lanes.waiting());
                tell(waiting.chain(&heads), AckKind::Progress).await;
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
    let last = async {
        while let Some(worked) = working.next().await {
            heads.extend(worked.apart);
        }
    };
    let _ = tokio::time::timeout(LAST_EFFECTS, last).await;
    let back = AckKind::Nak(Some(HAND_BACK));
    let waiting = returns.held().chain(lanes.waiting());
    tell(waiting.chain(&heads), back).await;
    hand_back(&mut messages).await;
    let flushed = tokio::time::timeout(Duration::from_secs(1), consumer.bus.flush()).await;
    // What was on its way when the connection broke is on loan to nobody.
    let whole = working.is_empty() && matches!(flushed, Ok(Ok(()))) && times(consumer) == connects;
    consumer.handed_back.store(whole, Ordering::Relaxed);
    result
}

async fn open(durable: &PullConsumer) -> Result<pull::Stream, OutboxError> {
    let stream = durable
        .stream()
        .max_messages_per_batch(64)
        .expires(Duration::from_secs(30))
        .heartbeat(Duration::from_secs(5));
    stream.messages().await.on_bus("pull")
}

/// Loans that are at the head of their lane.
fn enter(lanes: &mut Lanes<Loan>, loans: Vec<Loan>) -> Vec<Loan> {
    let heads = loans.into_iter().filter_map(|loan| {
        let lane = loan.event.aggregate.clone();
        lanes.enter(&lane, loan)
    });
    heads.collect()
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

/// Works on the heads of some lanes. One is settled, whatever that takes; several are applied
/// together, or given back.
async fn work<E: Effects>(consumer: &Consumer<E>, permits: &Semaphore, loans: Vec<Loan>) -> Worked {
    let keep = async {
        let mut due = interval(PROGRESS);
        due.tick().await;
        loop {
            due.tick().await;
            tell(loans.iter(), AckKind::Progress).await;
        }
    };
    let settle = async {
        match loans.as_slice() {
            [loan] => Ok(apply::settle(consumer, permits, &loan.event).await),
            loans => apply::together(consumer, permits, loans.iter().map(|loan| &loan.event)).await,
        }
    };
    let ending = tokio::select! {
        ending = settle => ending,
        () = keep => unreachable!("progress is reported for ever"),
    };
    let Ok(ending) = ending else {
        return Worked {
            apart: loans,
            ..Worked::default()
        };
    };
    send_receipts(consumer, &loans).await;
    let kind = if ending == Ending::Dead {
        AckKind::Term
    } else {
        AckKind::Ack
    };
    // Committed: if an acknowledgement is lost, the message comes again and is a duplicate.
    tell(loans.iter(), kind).await;
    Worked {
        lanes: loans.into_iter().map(|loan| loan.event.aggregate).collect(),
        ..Worked::default()
    }
}

/// One message for each producer that was heard.
async fn send_receipts<E: Effects>(consumer: &Consumer<E>, loans: &[Loan]) {
    let mut heard: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    for Loan { event, .. } in loans {
        let of_producer = heard.entry(event.ty.producer()).or_default();
        of_producer.push(event.id.as_uuid());
    }
    for (producer, event_ids) in heard {
        let heard = Heard {
            consumer: consumer.effects.consumer().to_owned(),
            event_ids,
        };
        let Ok(json) = serde_json::to_vec(&heard) else {
            return;
        };
        let sent = consumer
            .bus
            .publish(receipts::subject(producer), json.into());
        if let Err(error) = sent.await {
            // The producer will ask again by publishing again.
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "receipts not sent"
            );
        }
    }
}

async fn tell<'a>(loans: impl Iterator<Item = &'a Loan>, kind: AckKind) {
    for loan in loans {
        acknowledge(&loan.message, kind).await;
    }
}

async fn acknowledge(message: &Message, kind: AckKind) {
    if let Err(error) = message.ack_with(kind).await {
        tracing::warn!(error, "acknowledgement not sent");
    }
}

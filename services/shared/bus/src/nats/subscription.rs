//! Messages from the durable consumer, in the stream's order, kept in flight until they are acknowledged.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::consumer::pull;
use async_nats::jetstream::stream::Stream;
use async_nats::jetstream::{AckKind, Message as NatsMessage};
use async_trait::async_trait;
use futures::StreamExt;
use tokio::time::{Instant, Interval, interval, sleep_until};

use super::connection::Connection;
use super::redelivery::Redelivery;
use super::stream::{ACK_WAIT, position, state};
use crate::error::Attempting;
use crate::{BusError, ConsumerSpec, Message, Position, Subscription};

/// How often the server is told that the messages in flight are still being processed.
const PROGRESS: Duration = Duration::from_millis(1_500);
/// How often the connection is checked.
const CHECK: Duration = Duration::from_millis(500);
/// What is handed back is delivered again after this time: by then the pull request to which it would
/// otherwise come back is closed.
const HAND_BACK: Duration = Duration::from_millis(300);
/// The server notices a little late that an acknowledgement is overdue, a new leader later still.
const MARGIN: Duration = Duration::from_millis(1_500);

/// A pull subscription.
pub struct NatsSubscription {
    connection: Arc<Connection>,
    consumer: &'static str,
    stream_id: String,
    /// How often the client had connected when the subscription began.
    connects: u64,
    messages: pull::Stream,
    redelivery: Redelivery<Message>,
    /// To be returned by `next`.
    ready: VecDeque<Message>,
    /// Delivered and not acknowledged, by sequence.
    unacknowledged: HashMap<i64, NatsMessage>,
    progress: Interval,
    check: Interval,
}

impl NatsSubscription {
    pub async fn open(
        connection: Arc<Connection>,
        consumer: &ConsumerSpec,
    ) -> Result<Self, BusError> {
        let connects = connection.connects();
        let stream = connection.stream().await?;
        let info = stream.get_info().await;
        let stream_id = state(&info.attempting("read the stream's state")?).id;
        let durable = connection.durable(&stream, consumer).await?;
        let consumer = consumer.name;
        let redelivery = redelivery(&connection, &stream, consumer).await?;
        let messages = durable
            .stream()
            .max_messages_per_batch(64)
            .expires(Duration::from_secs(30))
            .heartbeat(Duration::from_secs(5))
            .messages()
            .await
            .attempting("pull messages")?;
        Ok(Self {
            connection,
            consumer,
            stream_id,
            connects,
            messages,
            redelivery,
            ready: VecDeque::new(),
            unacknowledged: HashMap::new(),
            progress: interval(PROGRESS),
            check: interval(CHECK),
        })
    }

    /// A message has come. One that is in flight already was delivered again because its time was over:
    /// the new delivery is the one to acknowledge, and is not returned twice.
    fn received(&mut self, message: NatsMessage) {
        let position = position(message.info().map_or(0, |info| info.stream_sequence));
        let body = message.payload.clone();
        if self
            .unacknowledged
            .insert(position.offset, message)
            .is_none()
        {
            let message = Message { position, body };
            self.ready
                .extend(self.redelivery.received(position.offset, message));
        }
    }

    async fn answer_all(&self, kind: AckKind) {
        for message in self.unacknowledged.values() {
            answer(message, kind).await;
        }
    }

    fn is_connected_as_before(&self) -> bool {
        self.connection.connects() == self.connects
    }
}

#[async_trait]
impl Subscription for NatsSubscription {
    fn stream_id(&self) -> &str {
        &self.stream_id
    }

    async fn next(&mut self) -> Result<Message, BusError> {
        loop {
            if let Some(message) = self.ready.pop_front() {
                return Ok(message);
            }
            tokio::select! {
                next = self.messages.next() => match next {
                    Some(Ok(message)) => self.received(message),
                    Some(Err(error)) => {
                        self.connection.failed();
                        return Err(error).attempting("pull messages");
                    }
                    None => return Err(BusError::TimedOut("pull messages")),
                },
                () = sleep_until(self.redelivery.deadline()), if self.redelivery.is_incomplete() => {
                    self.ready.extend(self.redelivery.stop_waiting());
                }
                // Dropped half way, it is done again at the next tick: three fit into the time.
                _ = self.progress.tick() => self.answer_all(AckKind::Progress).await,
                // The pull request is gone with the old connection: begin again at once instead of
                // missing heartbeats.
                _ = self.check.tick() => if !self.is_connected_as_before() {
                    return Err(BusError::Disconnected);
                },
            }
        }
    }

    async fn ack(&mut self, positions: &[Position]) {
        for position in positions {
            // If it gets lost, the message comes again, and the inbox knows it.
            if let Some(message) = self.unacknowledged.remove(&position.offset) {
                answer(&message, AckKind::Ack).await;
            }
        }
    }

    async fn close(mut self: Box<Self>) {
        // What has arrived and was not looked at would otherwise be in flight to nobody.
        for _ in 0..512 {
            let next = tokio::time::timeout(Duration::from_millis(50), self.messages.next()).await;
            let Ok(Some(Ok(message))) = next else { break };
            self.received(message);
        }
        self.answer_all(AckKind::Nak(Some(HAND_BACK))).await;
        let flush =
            tokio::time::timeout(Duration::from_secs(1), self.connection.client.flush()).await;
        // What was on its way when the connection broke is in flight to nobody.
        let whole = matches!(flush, Ok(Ok(()))) && self.is_connected_as_before();
        self.connection.ended(self.consumer, whole);
    }
}

/// What an earlier subscription has in flight. It must be processed before what was never delivered.
async fn redelivery(
    connection: &Connection,
    stream: &Stream,
    consumer: &'static str,
) -> Result<Redelivery<Message>, BusError> {
    let info = stream.consumer_info(consumer).await;
    let info = info.attempting("read a consumer's state")?;
    let expected = info.num_ack_pending;
    if expected > 0 {
        tracing::info!(consumer, expected, "waiting for redelivery");
    }
    let handed_back = connection.was_handed_back(consumer);
    let wait = if handed_back { HAND_BACK } else { ACK_WAIT } + MARGIN;
    let last = position(info.delivered.stream_sequence).offset;
    Ok(Redelivery::new(expected, last, Instant::now() + wait))
}

async fn answer(message: &NatsMessage, kind: AckKind) {
    if let Err(error) = message.ack_with(kind).await {
        tracing::warn!(error, "acknowledgement not sent");
    }
}

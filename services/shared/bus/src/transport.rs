//! What the outbox needs from a message broker.
//!
//! The trait promises no more than both a queue with acknowledgements per message (NATS JetStream) and a partitioned log with
//! committed offsets (Kafka) can keep. So there is no negative acknowledgement, no delivery counter and no dead-letter queue:
//! retries, dead letters and receipts are the outbox's, in PostgreSQL.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

use crate::BusError;

/// A connection to a broker, shared by relay and consumer.
pub type Bus = Arc<dyn Transport>;

/// Where a broker stores a message. Offsets grow within a partition; brokers without partitions use partition 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Which part of the stream.
    pub partition: i32,
    /// The place within it.
    pub offset: i64,
}

/// One offset per partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Offsets(BTreeMap<i32, i64>);

impl Offsets {
    /// True if this is at or behind the offset of its partition.
    pub fn include(&self, position: Position) -> bool {
        let offset = self.0.get(&position.partition);
        offset.is_some_and(|offset| *offset >= position.offset)
    }

    /// Moves a partition's offset up to this position, never down.
    pub fn advance(&mut self, position: Position) {
        let offset = self.0.entry(position.partition).or_insert(position.offset);
        *offset = position.offset.max(*offset);
    }

    /// Partitions and their offsets.
    pub fn iter(&self) -> impl Iterator<Item = Position> {
        let positions = self.0.iter();
        positions.map(|(&partition, &offset)| Position { partition, offset })
    }
}

impl FromIterator<Position> for Offsets {
    fn from_iter<I: IntoIterator<Item = Position>>(positions: I) -> Self {
        let mut offsets = Self::default();
        for position in positions {
            offsets.advance(position);
        }
        offsets
    }
}

/// Which stream this is, and how far it has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamState {
    /// Changes when the stream is deleted and created again.
    pub id: String,
    /// The last offset ever assigned in each partition.
    pub last: Offsets,
}

/// A message to publish.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a> {
    /// The event type: decides which consumers receive it.
    pub event_type: &'a str,
    /// Messages with the same key stay in the order in which they were acknowledged.
    pub key: &'a str,
    /// A broker may drop a message whose id it has seen lately. Begins with the event's id.
    pub dedupe_id: &'a str,
    /// W3C trace context, passed on as a header.
    pub traceparent: Option<&'a str>,
    /// The CloudEvents envelope.
    pub body: &'a str,
}

/// The broker has stored a message durably.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// Where.
    pub position: Position,
    /// The broker had stored it before, at this position.
    pub duplicate: bool,
}

/// A durable consumer and the event types that it receives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerSpec {
    /// The consuming service; brokers call it durable name or group.
    pub name: &'static str,
    /// What it receives.
    pub event_types: Vec<&'static str>,
}

/// A message delivered to a consumer.
#[derive(Debug, Clone)]
pub struct Message {
    /// To acknowledge it by.
    pub position: Position,
    /// The CloudEvents envelope.
    pub body: Bytes,
}

/// A message broker.
#[async_trait]
pub trait Transport: fmt::Debug + Send + Sync {
    /// The broker's name in traces, such as `nats`.
    fn system(&self) -> &'static str;

    /// Where events of a type are published, as traces name it.
    fn destination(&self, event_type: &str) -> String;

    /// The number of the current connection, counted from the start of the process; none while disconnected.
    fn connection(&self) -> Option<u64>;

    /// Whether there is no connection because the broker refuses the credentials, and not because it is away.
    fn is_refused(&self) -> bool;

    /// Creates what carries the events where it is missing, and describes it.
    async fn ensure_stream(&self) -> Result<StreamState, BusError>;

    /// Creates a consumer where it is missing. One that exists is left as it is: its own service updates it when it subscribes.
    async fn ensure_consumer(&self, consumer: &ConsumerSpec) -> Result<(), BusError>;

    /// Publishes a message and waits until it is stored. Different keys may be published at the same time. An error does not
    /// mean that the message was not stored.
    async fn publish(&self, message: Outgoing<'_>) -> Result<Published, BusError>;

    /// Whether the broker takes and keeps what this client, the service called `producer`, publishes now: a publish of
    /// its own, acknowledged, that no consumer receives.
    async fn try_publish(&self, producer: &str) -> Result<(), BusError>;

    /// Whether the broker still has the event at this position.
    async fn holds(&self, position: Position, event_id: &str) -> Result<bool, BusError>;

    /// Up to where a consumer has acknowledged everything; none if it does not exist.
    async fn acknowledged(&self, consumer: &str) -> Result<Option<Offsets>, BusError>;

    /// Creates or updates a consumer and begins to receive. One subscription at a time: the caller holds a lock.
    ///
    /// What an earlier subscription left unacknowledged is delivered first, and messages of one key in the order in which they
    /// were published.
    async fn subscribe(&self, consumer: &ConsumerSpec) -> Result<Box<dyn Subscription>, BusError>;

    /// [`BusError::Replaced`] if `consumer` can no longer receive what is published to the stream with this id.
    async fn check(&self, consumer: &str, stream_id: &str) -> Result<(), BusError>;

    /// Sends a message to whoever listens for the receipts of a producer. It may get lost.
    async fn send_receipts(&self, producer: &str, body: Bytes) -> Result<(), BusError>;

    /// The receipts for a producer, from now on.
    async fn receipts(&self, producer: &str) -> Result<BoxStream<'static, Bytes>, BusError>;
}

/// Messages on their way to a consumer.
#[async_trait]
pub trait Subscription: Send {
    /// The id of the stream that it reads.
    fn stream_id(&self) -> &str;

    /// The next message. May be dropped while it waits, and must be called all the time: it also tells the broker that the
    /// messages in flight are still being processed. The number of messages in flight is bounded.
    async fn next(&mut self) -> Result<Message, BusError>;

    /// These messages are done with: no later subscription needs to see them.
    async fn ack(&mut self, positions: &[Position]);

    /// Ends the subscription. What is not acknowledged is delivered to the next one soon.
    async fn close(self: Box<Self>);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(partition: i32, offset: i64) -> Position {
        Position { partition, offset }
    }

    #[test]
    fn offsets_grow_by_partition_and_never_shrink() {
        let mut offsets: Offsets = [at(0, 7), at(1, 3), at(0, 5)].into_iter().collect();
        assert!(offsets.include(at(0, 7)) && !offsets.include(at(0, 8)));
        assert!(offsets.include(at(1, 2)) && !offsets.include(at(2, 0)));
        offsets.advance(at(2, 0));
        assert_eq!(
            offsets.iter().collect::<Vec<_>>(),
            [at(0, 7), at(1, 3), at(2, 0)]
        );
    }
}

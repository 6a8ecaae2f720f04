//! The stream and its consumers: configuration and state.

use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull};
use async_nats::jetstream::context::ConsumerInfoErrorKind;
use async_nats::jetstream::stream::{self, Stream};

use crate::error::Attempting;
use crate::{BusError, ConsumerSpec, Offsets, Position, StreamState};

/// The stream that carries every event of a shop.
pub const STREAM: &str = "SHOP";

/// A message that is not acknowledged within this time is delivered again, unless its subscription
/// reports progress. Short, because what a killed consumer had in flight waits this long.
pub const ACK_WAIT: Duration = Duration::from_secs(5);
/// Messages in flight to one consumer.
const IN_FLIGHT: i64 = 256;

/// Most that a stream holds.
const MAX_BYTES: i64 = 1 << 30;
/// The largest message that a server takes (`max_payload`).
const LARGEST: u64 = 1 << 20;

/// The subject of a type of event.
pub fn subject(event_type: &str) -> String {
    format!("shop.{event_type}")
}

/// Where a producer asks whether the stream takes what it publishes. No consumer and no subscriber receives from there.
pub fn question(producer: &str) -> String {
    subject(&format!("check.{producer}"))
}

/// Creates the stream if it is missing.
///
/// Interest retention: a message is deleted when every consumer has acknowledged it, so the stream stays
/// small. It can be that volatile because the outbox keeps each event until its receipts are there.
/// `max_age` limits what a consumer that is gone for good would hold for ever.
///
/// Where the bus has several servers the stream is on all of them: an acknowledged message is with a
/// majority. Its consumers have as many replicas as it has.
pub async fn ensure_stream(context: &Context, replicas: usize) -> Result<Stream, BusError> {
    let config = stream::Config {
        name: STREAM.to_owned(),
        subjects: vec![subject(">")],
        retention: stream::RetentionPolicy::Interest,
        storage: stream::StorageType::File,
        discard: stream::DiscardPolicy::New,
        max_bytes: MAX_BYTES,
        max_age: Duration::from_secs(3 * 24 * 3600),
        duplicate_window: Duration::from_secs(120),
        num_replicas: replicas,
        ..stream::Config::default()
    };
    let stream = context.get_or_create_stream(config).await;
    stream.attempting("create the stream")
}

/// Creates a consumer, or updates it to these event types.
pub async fn create_consumer(
    stream: &Stream,
    consumer: &ConsumerSpec,
) -> Result<PullConsumer, BusError> {
    let subjects = consumer.event_types.iter().map(|ty| subject(ty));
    let config = pull::Config {
        durable_name: Some(consumer.name.to_owned()),
        filter_subjects: subjects.collect(),
        deliver_policy: DeliverPolicy::All,
        ack_policy: AckPolicy::Explicit,
        ack_wait: ACK_WAIT,
        max_deliver: -1,
        max_ack_pending: IN_FLIGHT,
        ..pull::Config::default()
    };
    let created = stream.create_consumer(config).await;
    created.attempting("create a consumer")
}

/// Up to where a consumer has acknowledged; none if it does not exist.
pub async fn acknowledged(stream: &Stream, consumer: &str) -> Result<Option<Offsets>, BusError> {
    match stream.consumer_info(consumer).await {
        Ok(info) => Ok(Some(
            [position(info.ack_floor.stream_sequence)]
                .into_iter()
                .collect(),
        )),
        Err(error) if error.kind() == ConsumerInfoErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).attempting("read a consumer's state"),
    }
}

/// True if the consumer has seen more than the stream holds. Asks the consumer first: in between
/// the stream may grow, but not shrink.
pub async fn is_ahead(stream: &Stream, consumer: &str) -> Result<bool, BusError> {
    let info = stream.consumer_info(consumer).await;
    let info = info.attempting("read a consumer's state")?;
    let now = stream.get_info().await;
    let now = state(&now.attempting("read the stream's state")?);
    let delivered = position(info.delivered.stream_sequence);
    Ok(!now.last.include(delivered))
}

/// An error where the largest message might be refused: what no consumer reads is taken by a full stream too.
pub fn has_room(info: &stream::Info) -> Result<(), BusError> {
    let (held, limit) = (info.state.bytes, info.config.max_bytes);
    match u64::try_from(limit) {
        Ok(limit) if held.saturating_add(LARGEST) > limit => Err(BusError::Full { held, limit }),
        _ => Ok(()),
    }
}

/// The stream's identity is when it was created, in microseconds.
pub fn state(info: &stream::Info) -> StreamState {
    let micros = info.created.unix_timestamp_nanos() / 1_000;
    StreamState {
        id: micros.to_string(),
        last: [position(info.state.last_sequence)].into_iter().collect(),
    }
}

/// A sequence as a position: a stream has no partitions.
pub fn position(sequence: u64) -> Position {
    Position {
        partition: 0,
        offset: i64::try_from(sequence).unwrap_or(i64::MAX),
    }
}

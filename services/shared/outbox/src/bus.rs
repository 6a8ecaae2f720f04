//! The bus: one JetStream stream, made by whoever comes first.

use std::time::Duration;

use async_nats::jetstream::stream::{self, Stream};
use async_nats::jetstream::{self, Context};
use async_nats::{Client, ConnectOptions};
use chrono::{DateTime, Utc};

use crate::error::{DoingOnBus, OutboxError};

/// The stream that carries every event of a shop.
pub const STREAM: &str = "SHOP";

/// Answers of the bus that take longer have failed.
pub(crate) const ANSWER: Duration = Duration::from_secs(5);

/// A client that connects in the background and reconnects for ever.
pub async fn connect(
    uri: &str,
    credentials: Option<(&str, &str)>,
    name: &str,
) -> Result<Client, OutboxError> {
    let mut options = ConnectOptions::new()
        .name(name)
        .retry_on_initial_connect()
        .max_reconnects(None)
        .reconnect_delay_callback(|attempt| {
            let doubled = 50_u64.saturating_mul(1 << attempt.min(6));
            Duration::from_millis(doubled.min(2_000))
        })
        .ping_interval(Duration::from_secs(10))
        .request_timeout(Some(ANSWER))
        .event_callback(|event| async move { tracing::info!(%event, "bus") });
    if let Some((user, password)) = credentials {
        options = options.user_and_password(user.to_owned(), password.to_owned());
    }
    options.connect(uri).await.on_bus("connect to the bus")
}

pub(crate) fn context(client: &Client) -> Context {
    let mut context = jetstream::new(client.clone());
    context.set_timeout(ANSWER);
    context
}

/// Makes the stream if it is missing.
///
/// Interest retention: a message goes when every consumer has acknowledged it, so the stream stays
/// small. It need not be more than a pipe, because the outbox keeps each event until its receipts
/// are back. `max_age` frees what a consumer that is gone for good would hold for ever.
pub(crate) async fn ensure_stream(context: &Context) -> Result<Stream, OutboxError> {
    let config = stream::Config {
        name: STREAM.to_owned(),
        subjects: vec!["shop.>".to_owned()],
        retention: stream::RetentionPolicy::Interest,
        storage: stream::StorageType::File,
        discard: stream::DiscardPolicy::New,
        max_bytes: 1 << 30,
        max_age: Duration::from_secs(3 * 24 * 3600),
        duplicate_window: Duration::from_secs(120),
        num_replicas: 1,
        ..stream::Config::default()
    };
    context
        .get_or_create_stream(config)
        .await
        .on_bus("ensure the stream")
}

/// Which stream this is, and how far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StreamState {
    /// When it was created: its identity. In microseconds, as a table keeps it.
    pub created: DateTime<Utc>,
    /// Its last sequence.
    pub last_seq: i64,
}

pub(crate) fn state_of(info: &stream::Info) -> StreamState {
    let micros = info.created.unix_timestamp_nanos() / 1_000;
    let created = i64::try_from(micros)
        .ok()
        .and_then(DateTime::from_timestamp_micros);
    StreamState {
        created: created.unwrap_or(DateTime::UNIX_EPOCH),
        last_seq: i64::try_from(info.state.last_sequence).unwrap_or(i64::MAX),
    }
}

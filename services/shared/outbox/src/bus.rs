//! The bus: one JetStream stream, made by whoever comes first.

use std::ops::Deref;
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull};
use async_nats::jetstream::context::ConsumerInfoErrorKind;
use async_nats::jetstream::stream::{self, Stream};
use async_nats::jetstream::{self, Context};
use async_nats::{Client, ConnectOptions};
use chassis::Binding;
use chrono::{DateTime, Utc};
use events::EventType;

use crate::error::{DoingOnBus, OutboxError};

/// The stream that carries every event of a shop.
pub const STREAM: &str = "SHOP";

/// Answers of the bus that take longer have failed.
pub(crate) const ANSWER: Duration = Duration::from_secs(5);

/// A shop's bus: the connection to it, and on how many of its servers the stream is kept.
#[derive(Debug, Clone)]
pub struct Bus {
    client: Client,
    replicas: usize,
}

impl Deref for Bus {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Bus {
    /// Connects to what a binding names: `uri`, `username` and `password` where there is a login, and
    /// `replicas` where the stream is on several servers.
    pub async fn bound(binding: &Binding, name: &str) -> Result<Self, OutboxError> {
        let login = binding.get("username").zip(binding.get("password"));
        let replicas = binding.get("replicas").unwrap_or("1");
        let replicas = replicas.trim().parse().map_err(|_| OutboxError::Replicas)?;
        let bus = connect(binding.require("uri")?, login, name).await?;
        Ok(bus.replicated(replicas))
    }

    /// The same, with the stream on so many servers.
    #[must_use]
    pub fn replicated(self, replicas: usize) -> Self {
        Self { replicas, ..self }
    }
}

/// A client that connects in the background and reconnects for ever. `uri` may be several, with
/// commas between them: servers of one cluster.
pub async fn connect(
    uri: &str,
    credentials: Option<(&str, &str)>,
    name: &str,
) -> Result<Bus, OutboxError> {
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
    let servers: Vec<&str> = uri.split(',').map(str::trim).collect();
    let client = options
        .connect(servers)
        .await
        .on_bus("connect to the bus")?;
    Ok(Bus {
        client,
        replicas: 1,
    })
}

/// The subject of a type of event.
pub(crate) fn subject(ty: &str) -> String {
    format!("shop.{ty}")
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
///
/// Where the bus has several servers the stream is on all of them: an acknowledged message is with a
/// majority. Its consumers have as many replicas as it has.
pub(crate) async fn ensure_stream(bus: &Bus) -> Result<Stream, OutboxError> {
    let config = stream::Config {
        name: STREAM.to_owned(),
        subjects: vec!["shop.>".to_owned()],
        retention: stream::RetentionPolicy::Interest,
        storage: stream::StorageType::File,
        discard: stream::DiscardPolicy::New,
        max_bytes: 1 << 30,
        max_age: Duration::from_secs(3 * 24 * 3600),
        duplicate_window: Duration::from_secs(120),
        num_replicas: bus.replicas,
        ..stream::Config::default()
    };
    context(bus)
        .get_or_create_stream(config)
        .await
        .on_bus("ensure the stream")
}

/// A message on loan is lent again if it is not acknowledged within this time; its consumer says in
/// time that it is still at it. Short, because what a killed consumer had on loan waits this long.
pub(crate) const ACK_WAIT: Duration = Duration::from_secs(5);
/// Messages on loan to one consumer.
const ON_LOAN: i64 = 256;

/// The durable consumer of a service: hears what the table of events says that it must hear. The
/// same whoever makes it, so that a producer may make it before the service first starts.
fn consumer_config(name: &str) -> pull::Config {
    let heard = EventType::ALL
        .iter()
        .filter(|ty| ty.consumers().contains(&name));
    pull::Config {
        durable_name: Some(name.to_owned()),
        filter_subjects: heard.map(|ty| ty.subject().to_owned()).collect(),
        deliver_policy: DeliverPolicy::All,
        ack_policy: AckPolicy::Explicit,
        ack_wait: ACK_WAIT,
        max_deliver: -1,
        max_ack_pending: ON_LOAN,
        ..pull::Config::default()
    }
}

/// Makes the consumer, or brings it up to this build's table.
pub(crate) async fn ensure_consumer(
    stream: &Stream,
    name: &str,
) -> Result<PullConsumer, OutboxError> {
    stream
        .create_consumer(consumer_config(name))
        .await
        .on_bus("ensure the consumer")
}

/// Makes the consumers that must hear `producer`, where they are missing. Without this, what is
/// published before a service first starts would reach it late, behind what came after.
pub(crate) async fn ensure_listeners(stream: &Stream, producer: &str) -> Result<(), OutboxError> {
    let said = EventType::ALL.iter().filter(|ty| ty.producer() == producer);
    let mut names: Vec<&str> = said.flat_map(|ty| ty.consumers()).copied().collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        if acknowledged_to(stream, name).await?.is_none() {
            ensure_consumer(stream, name).await?;
        }
    }
    Ok(())
}

/// How far a consumer has acknowledged; none if it does not exist.
pub(crate) async fn acknowledged_to(
    stream: &Stream,
    name: &str,
) -> Result<Option<i64>, OutboxError> {
    match stream.consumer_info(name).await {
        Ok(info) => Ok(Some(
            i64::try_from(info.ack_floor.stream_sequence).unwrap_or(i64::MAX),
        )),
        Err(error) if error.kind() == ConsumerInfoErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).on_bus("look at a consumer"),
    }
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

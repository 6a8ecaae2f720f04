//! The connection, and what outlives a subscription.

use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::consumer::PullConsumer;
use async_nats::jetstream::stream::Stream;
use async_nats::jetstream::{self, Context};
use async_nats::{Client, ClientError, ConnectErrorKind, ConnectOptions, Event, ServerError};
use backon::{BackoffBuilder, ExponentialBuilder};

use super::stream::{STREAM, create_consumer, ensure_stream, is_ahead, state};
use crate::error::Attempting;
use crate::{BusError, ConsumerSpec};

/// Requests that take longer have failed.
const REQUEST: Duration = Duration::from_secs(5);

/// Pauses between attempts to connect.
const RECONNECT: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(50))
    .with_max_delay(Duration::from_secs(2))
    .without_max_times();

/// How a client logs in.
#[derive(Clone, Copy, Default)]
pub struct Login<'a> {
    /// User and password, where there is a login.
    pub credentials: Option<(&'a str, &'a str)>,
    /// Below which subjects the user may receive answers, where not below the usual ones.
    pub inbox_prefix: Option<&'a str>,
}

/// A connection to NATS.
pub struct Connection {
    pub client: Client,
    /// On how many servers the stream is kept.
    replicas: usize,
    /// Consumers whose last subscription handed back all that it had in flight.
    handed_back: Mutex<HashSet<&'static str>>,
    /// A request has failed since the last subscription began: what is handed back may not arrive.
    failing: AtomicBool,
    /// A server has refused the login since it last took it.
    refused: Arc<AtomicBool>,
}

impl Connection {
    /// A client that connects in the background and reconnects for ever. `uri` may be several, with
    /// commas between them: servers of one cluster. The stream is kept on `replicas` of them.
    pub async fn open(
        uri: &str,
        login: Login<'_>,
        name: &str,
        replicas: usize,
    ) -> Result<Self, BusError> {
        let refused = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&refused);
        let mut options = ConnectOptions::new()
            .name(name)
            .retry_on_initial_connect()
            .max_reconnects(None)
            .reconnect_delay_callback(|attempt| {
                let pause = RECONNECT.build().nth(attempt.min(10));
                pause.unwrap_or(Duration::from_secs(2))
            })
            .ping_interval(Duration::from_secs(10))
            .request_timeout(Some(REQUEST))
            .event_callback(move |event| {
                tracing::info!(%event, "bus connection");
                if let Some(is_refused) = is_refused(&event) {
                    told.store(is_refused, Ordering::Relaxed);
                }
                std::future::ready(())
            });
        if let Some((user, password)) = login.credentials {
            options = options.user_and_password(user.to_owned(), password.to_owned());
        }
        if let Some(prefix) = login.inbox_prefix {
            options = options.custom_inbox_prefix(prefix);
        }
        let servers: Vec<&str> = uri.split(',').map(str::trim).collect();
        let client = options
            .connect(servers)
            .await
            .attempting("connect to the bus")?;
        Ok(Self {
            client,
            replicas,
            handed_back: Mutex::default(),
            failing: AtomicBool::new(false),
            refused,
        })
    }

    pub fn is_connected(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    /// Whether there is no connection because a server refuses the login.
    pub fn is_refused(&self) -> bool {
        !self.is_connected() && self.refused.load(Ordering::Relaxed)
    }

    pub fn context(&self) -> Context {
        let mut context = jetstream::new(self.client.clone());
        context.set_timeout(REQUEST);
        context
    }

    /// How often the client has connected.
    pub fn connects(&self) -> u64 {
        self.client.statistics().connects.load(Ordering::Relaxed)
    }

    pub async fn stream(&self) -> Result<Stream, BusError> {
        ensure_stream(&self.context(), self.replicas).await
    }

    /// Creates or updates a consumer. One that has seen more than the stream holds belongs to a stream
    /// that was restored from a backup: it would wait for sequences that are long gone, so it is
    /// created anew, and the inbox ignores what was processed before.
    pub async fn durable(
        &self,
        stream: &Stream,
        consumer: &ConsumerSpec,
    ) -> Result<PullConsumer, BusError> {
        let created = create_consumer(stream, consumer).await?;
        if !is_ahead(stream, consumer.name).await? {
            return Ok(created);
        }
        tracing::warn!(
            consumer = consumer.name,
            "consumer is ahead of its stream: recreating it"
        );
        stream
            .delete_consumer(consumer.name)
            .await
            .attempting("delete a consumer")?;
        create_consumer(stream, consumer).await
    }

    /// The stream is the one with this id, and has not gone back behind the consumer.
    pub async fn check(&self, consumer: &str, stream_id: &str) -> Result<(), BusError> {
        let checked = self.check_consumer(consumer, stream_id).await;
        if checked.is_err() {
            self.failed();
        }
        checked
    }

    /// A request has failed: what is handed back from now on may not arrive.
    pub fn failed(&self) {
        self.failing.store(true, Ordering::Relaxed);
    }

    async fn check_consumer(&self, consumer: &str, stream_id: &str) -> Result<(), BusError> {
        let stream = self
            .context()
            .get_stream(STREAM)
            .await
            .attempting("read the stream's state")?;
        let now = state(stream.cached_info());
        if now.id != stream_id || is_ahead(&stream, consumer).await? {
            return Err(BusError::Replaced);
        }
        Ok(())
    }

    /// Records how a subscription ended.
    pub fn ended(&self, consumer: &'static str, handed_back: bool) {
        let whole = handed_back && !self.failing.swap(false, Ordering::Relaxed);
        let mut names = self
            .handed_back
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if whole {
            names.insert(consumer);
        } else {
            names.remove(consumer);
        }
    }

    /// Whether a consumer's last subscription handed back everything; asked once.
    pub fn was_handed_back(&self, consumer: &str) -> bool {
        let mut names = self
            .handed_back
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        names.remove(consumer)
    }
}

/// Whether an event says that a server refuses the login, or that this is not what is wrong.
fn is_refused(event: &Event) -> Option<bool> {
    match event {
        Event::ServerError(ServerError::AuthorizationViolation) => Some(true),
        Event::Connected => Some(false),
        // The client tells the kind of a failed attempt by its text only.
        Event::ClientError(ClientError::Other(text)) => {
            let refusals = [
                ConnectErrorKind::AuthorizationViolation,
                ConnectErrorKind::Authentication,
            ];
            Some(refusals.iter().any(|kind| kind.to_string() == *text))
        }
        _ => None,
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("replicas", &self.replicas)
            .finish_non_exhaustive()
    }
}

//! Publishes what was appended, and keeps it until everybody has heard it.

mod publish;
pub(crate) mod receipts;
mod rows;
mod watch;

use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::Subscriber;
use async_nats::connection::State;
use futures::StreamExt;
use sqlx::PgConnection;
use sqlx::postgres::{PgListener, PgPool, PgPoolOptions};
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::append::channel;
use crate::bus::{self, Bus, StreamState, ensure_listeners, ensure_stream, state_of};
use crate::error::{Doing, DoingOnBus, OutboxError};
use crate::leader::{for_ever, lead, timed};
use crate::metrics::Metrics;
use crate::schema::Schema;
use receipts::Receipt;
pub(crate) use rows::Pending;

/// Batches published before receipts have their turn.
const BATCHES: u32 = 8;

/// Times and sizes of a relay. The defaults are for production; tests are in more of a hurry.
#[derive(Debug, Clone, Copy)]
pub struct RelayOptions {
    /// Looks for rows this often even if nobody notifies.
    pub poll: Duration,
    /// Looks for rows at most this often: what commits in between goes out together. The first row
    /// after a rest goes at once.
    pub pace: Duration,
    /// Receipts wait this long for others, so that one write is for many.
    pub linger: Duration,
    /// Compares the stream with the record this often.
    pub check: Duration,
    /// A published row may be without receipts for this long; doubles with each time.
    pub grace: Duration,
    /// A relay on standby asks for the lock this often.
    pub standby: Duration,
    /// Aggregates published side by side.
    pub in_flight: usize,
    /// Done rows are kept for this long.
    pub keep: Duration,
}

impl Default for RelayOptions {
    fn default() -> Self {
        Self {
            poll: Duration::from_secs(1),
            pace: Duration::from_millis(20),
            linger: Duration::from_millis(100),
            check: Duration::from_secs(10),
            grace: Duration::from_secs(30),
            standby: Duration::from_secs(1),
            in_flight: 64,
            keep: Duration::from_secs(7 * 24 * 3600),
        }
    }
}

/// The relay of one schema. Run one per process; one of all processes is active.
pub struct Relay {
    pool: PgPool,
    bus: Bus,
    schema: Schema,
    producer: &'static str,
    metrics: Metrics,
    options: RelayOptions,
}

impl Relay {
    /// A relay for the events that `producer` says, out of the outbox of `schema`.
    pub fn new(
        pool: PgPool,
        bus: Bus,
        schema: Schema,
        producer: &'static str,
        metrics: Metrics,
    ) -> Self {
        Self {
            pool,
            bus,
            schema,
            producer,
            metrics,
            options: RelayOptions::default(),
        }
    }

    /// The same with other times and sizes.
    #[must_use]
    pub fn options(self, options: RelayOptions) -> Self {
        Self { options, ..self }
    }

    /// Relays until shutdown. Restarts of the bus and of the database are lived through.
    pub async fn run(self, shutdown: CancellationToken) {
        for_ever("relay", &shutdown, || self.session(&shutdown)).await;
    }

    async fn session(&self, shutdown: &CancellationToken) -> Result<(), OutboxError> {
        let lock = format!("outbox relay {}", self.schema.name());
        let Some(mut conn) = lead(&self.pool, &lock, self.options.standby, shutdown).await? else {
            return Ok(());
        };
        timed("relax the relay's commits", rows::relax(&mut conn)).await?;
        tracing::info!(schema = self.schema.name(), "relaying");
        let active = Active::new(&self.metrics);
        let wake = Notify::new();
        let result = tokio::select! {
            result = self.listen(&wake) => result,
            result = self.work(conn, &wake, shutdown) => result,
        };
        drop(active);
        result
    }

    /// Wakes the worker when somebody appends.
    async fn listen(&self, wake: &Notify) -> Result<(), OutboxError> {
        // A pool of its own: the listener keeps its connection, the service's pool is for requests.
        let options = self.pool.connect_options().as_ref().clone();
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .connect_lazy_with(options);
        let mut listener = PgListener::connect_with(&pool).await.doing("listen")?;
        listener
            .listen(&channel(self.schema))
            .await
            .doing("listen")?;
        loop {
            // A lost connection is reported as none: look then, a notification may have been missed.
            listener.try_recv().await.doing("listen")?;
            wake.notify_one();
        }
    }

    async fn work(
        &self,
        conn: PgConnection,
        wake: &Notify,
        shutdown: &CancellationToken,
    ) -> Result<(), OutboxError> {
        let subject = receipts::subject(self.producer);
        let mut worker = Worker {
            relay: self,
            conn,
            wake,
            receipts: self
                .bus
                .subscribe(subject)
                .await
                .on_bus("subscribe to receipts")?,
            heard: Vec::new(),
            stream: None,
            seen_connects: 0,
            high_seq: 0,
            publish_after: Instant::now(),
            failures: 0,
        };
        let (mut publish_at, mut write_at) = (None, None);
        let mut rested_at = Instant::now();
        let mut poll = interval(self.options.poll);
        let mut check = interval(self.options.check);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        check.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => {
                    // What committed just before the end goes out now rather than after a restart.
                    worker.take_receipts().await?;
                    return worker.publish().await;
                }
                () = wake.notified(), if publish_at.is_none() => {
                    publish_at = Some(rested_at.max(Instant::now()));
                }
                () = due(publish_at) => {
                    publish_at = None;
                    rested_at = Instant::now() + self.options.pace;
                    worker.publish().await?;
                }
                _ = poll.tick() => worker.publish().await?,
                _ = check.tick() => worker.check().await?,
                Some(message) = worker.receipts.next() => {
                    worker.heard.extend(receipts::read(&message));
                    let linger = if worker.heard.len() < receipts::BATCH {
                        self.options.linger
                    } else {
                        Duration::ZERO
                    };
                    let at = Instant::now() + linger;
                    write_at = Some(write_at.map_or(at, |before: Instant| before.min(at)));
                }
                () = due(write_at) => {
                    write_at = None;
                    worker.take_receipts().await?;
                }
            }
        }
    }
}

/// Waits for an instant; for ever if there is none.
async fn due(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// The worker of one session: everything here happens over the connection that holds the lock.
struct Worker<'a> {
    relay: &'a Relay,
    conn: PgConnection,
    wake: &'a Notify,
    receipts: Subscriber,
    /// Receipts not yet written.
    heard: Vec<Receipt>,
    /// The stream as last seen; none before the first look and after a failure.
    stream: Option<StreamState>,
    /// How often the client had connected when the stream was seen.
    seen_connects: u64,
    /// The highest sequence that an acknowledgement named.
    high_seq: i64,
    publish_after: Instant,
    failures: u32,
}

impl Worker<'_> {
    /// Looks at the stream: makes it if it is missing, rewinds if it went backwards.
    async fn look(&mut self) -> Result<StreamState, OutboxError> {
        let connects = self.connects();
        let stream = ensure_stream(&self.relay.bus).await?;
        ensure_listeners(&stream, self.relay.producer).await?;
        let seen = state_of(&stream.get_info().await.on_bus("look at the stream")?);
        let schema = self.relay.schema;
        if timed(
            "compare",
            rows::went_backwards(&mut self.conn, schema, seen),
        )
        .await?
        {
            let rows = timed("rewind", rows::rewind(&mut self.conn, schema)).await?;
            self.relay.metrics.rewinds.inc();
            self.high_seq = 0;
            tracing::warn!(
                rows,
                schema = schema.name(),
                "the stream went backwards: rewound"
            );
        }
        self.stream = Some(seen);
        self.seen_connects = connects;
        Ok(seen)
    }

    fn connected(&self) -> bool {
        self.relay.bus.connection_state() == State::Connected
    }

    fn connects(&self) -> u64 {
        self.relay.bus.statistics().connects.load(Ordering::Relaxed)
    }

    /// Publishes what waits, some batches at a time: receipts and shutdown have their turn in
    /// between. Trouble with the bus is waited out here, so that receipts are still taken and the
    /// lock is kept.
    async fn publish(&mut self) -> Result<(), OutboxError> {
        // While disconnected the client would only buffer, and every wait would end in a timeout.
        if Instant::now() < self.publish_after || !self.connected() {
            return Ok(());
        }
        // Connected again, perhaps to a server without the stream: look before publishing.
        if self.connects() != self.seen_connects {
            self.stream = None;
        }
        for _ in 0..BATCHES {
            match self.publish_batch().await {
                Ok(published) => {
                    self.failures = 0;
                    if published == 0 {
                        return Ok(());
                    }
                }
                Err(error @ OutboxError::Query { .. }) => return Err(error),
                Err(error) => {
                    self.pause_after(&error);
                    return Ok(());
                }
            }
        }
        self.wake.notify_one();
        Ok(())
    }

    fn pause_after(&mut self, error: &(dyn std::error::Error + 'static)) {
        self.failures = (self.failures + 1).min(6);
        self.publish_after = Instant::now() + Duration::from_millis(50 << self.failures);
        self.stream = None;
        tracing::warn!(error, "publishing interrupted");
    }

    async fn publish_batch(&mut self) -> Result<usize, OutboxError> {
        let schema = self.relay.schema;
        let batch = timed("read the outbox", rows::pending(&mut self.conn, schema)).await?;
        if batch.is_empty() {
            return Ok(0);
        }
        let stream = match self.stream {
            Some(stream) => stream,
            None => self.look().await?,
        };
        let context = bus::context(&self.relay.bus);
        let outcome = publish::batch(&context, batch, self.relay.options.in_flight).await;
        let published = outcome.marks.len();
        let mark = rows::mark(&mut self.conn, schema, stream.created, &outcome.marks);
        timed("mark rows", mark).await?;
        self.relay.metrics.published.inc_by(published as u64);
        // New sequences below old ones: the stream was replaced under our feet.
        let lowest = outcome
            .marks
            .iter()
            .filter(|mark| !mark.duplicate)
            .map(|mark| mark.seq)
            .min();
        if lowest.is_some_and(|lowest| lowest <= self.high_seq) {
            self.stream = None;
        }
        let highest = outcome.marks.iter().map(|mark| mark.seq).max();
        self.high_seq = self.high_seq.max(highest.unwrap_or(0));
        match outcome.error {
            Some(error) => Err(error),
            None => Ok(published),
        }
    }

    /// Everything that is due now and then.
    async fn check(&mut self) -> Result<(), OutboxError> {
        let (schema, metrics) = (self.relay.schema, &self.relay.metrics);
        let backlog = timed("measure", rows::backlog(&mut self.conn, schema)).await?;
        metrics.pending.set(backlog.pending);
        metrics.unreceipted.set(backlog.unreceipted);
        metrics.oldest_age.set(backlog.oldest_age_secs);
        timed(
            "sweep",
            rows::sweep(&mut self.conn, schema, self.relay.options.keep),
        )
        .await?;
        match self.check_stream().await {
            Ok(()) => {}
            Err(error @ OutboxError::Query { .. }) => return Err(error),
            Err(error) => {
                let error: &(dyn std::error::Error + 'static) = &error;
                tracing::warn!(error, "the stream could not be checked");
                self.stream = None;
            }
        }
        self.publish().await
    }

    async fn check_stream(&mut self) -> Result<(), OutboxError> {
        if !self.connected() {
            return Ok(());
        }
        self.look().await?;
        let grace = self.relay.options.grace;
        watch::overdue(&mut self.conn, &self.relay.bus, self.relay.schema, grace).await
    }

    async fn take_receipts(&mut self) -> Result<(), OutboxError> {
        let batch = std::mem::take(&mut self.heard);
        let types = receipts::expected(self.relay.producer);
        let write = rows::receipt(&mut self.conn, self.relay.schema, &types, &batch);
        timed("record receipts", write).await
    }
}

/// Shows on the metric that this process relays, while it does.
struct Active<'a>(&'a Metrics);

impl<'a> Active<'a> {
    fn new(metrics: &'a Metrics) -> Self {
        metrics.relay_active.set(1);
        Self(metrics)
    }
}

impl Drop for Active<'_> {
    fn drop(&mut self) {
        self.0.relay_active.set(0);
        // Whoever relays next measures; two processes must not both claim the backlog.
        self.0.pending.set(0);
        self.0.unreceipted.set(0);
        self.0.oldest_age.set(0.0);
    }
}

//! The worker of one session: everything here happens over the connection that holds the lock.

use std::time::Duration;

use bus::Offsets;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use sqlx::PgConnection;
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;

use super::context::Context;
use super::receipts::{self, Receipt};
use super::rows::Mark;
use super::{overdue, publish, rows};
use crate::backoff::Backoff;
use crate::error::OutboxError;
use crate::lock::timed;
use crate::routing;

/// Batches published before receipts have their turn.
const BATCHES: u32 = 8;

pub struct Worker<'a> {
    relay: &'a Context,
    conn: PgConnection,
    wake: &'a Notify,
    /// Receipts not yet written.
    received: Vec<Receipt>,
    /// The id of the stream as last seen; none before the first check and after a failure.
    stream: Option<String>,
    /// The connection over which the stream was seen.
    connection: Option<u64>,
    /// The highest positions in the stream, as far as this worker knows.
    highest: Offsets,
    backoff: Backoff,
    publish_after: Instant,
}

impl<'a> Worker<'a> {
    /// Publishes and takes receipts until shutdown.
    pub async fn run(
        relay: &'a Context,
        conn: PgConnection,
        wake: &'a Notify,
        shutdown: &CancellationToken,
    ) -> Result<(), OutboxError> {
        let receipts = relay.bus.receipts(relay.producer).await?;
        let worker = Self {
            relay,
            conn,
            wake,
            received: Vec::new(),
            stream: None,
            connection: None,
            highest: Offsets::default(),
            backoff: Backoff::new(Duration::from_millis(100), Duration::from_secs(3)),
            publish_after: Instant::now(),
        };
        worker.work(receipts, shutdown).await
    }

    async fn work(
        mut self,
        mut receipts: BoxStream<'static, Bytes>,
        shutdown: &CancellationToken,
    ) -> Result<(), OutboxError> {
        let options = &self.relay.options;
        let (mut publish_at, mut write_at) = (None, None);
        let mut paced_at = Instant::now();
        let mut poll = interval(options.poll);
        let mut check = interval(options.check);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        check.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => {
                    // What committed just before the end is published now rather than after a restart.
                    self.write_receipts().await?;
                    return self.publish_the_rest().await;
                }
                () = self.wake.notified(), if publish_at.is_none() => {
                    publish_at = Some(paced_at.max(Instant::now()));
                }
                () = due(publish_at) => {
                    publish_at = None;
                    paced_at = Instant::now() + options.pace;
                    self.publish_and_look_again().await?;
                }
                _ = poll.tick() => self.publish_and_look_again().await?,
                _ = check.tick() => self.check().await?,
                message = receipts.next() => {
                    let message = message.ok_or(bus::BusError::Disconnected)?;
                    self.received.extend(receipts::read(&message));
                    let at = Instant::now() + self.linger();
                    write_at = Some(write_at.map_or(at, |before: Instant| before.min(at)));
                }
                () = due(write_at) => {
                    write_at = None;
                    self.write_receipts().await?;
                }
            }
        }
    }

    /// How long receipts may wait for others.
    fn linger(&self) -> Duration {
        if self.received.len() < receipts::BATCH {
            self.relay.options.linger
        } else {
            Duration::ZERO
        }
    }

    /// Reads the stream's state: creates it if it is missing, rewinds if it went backwards.
    async fn check_stream(&mut self) -> Result<String, OutboxError> {
        let (bus, schema) = (&self.relay.bus, self.relay.schema);
        let connection = bus.connection();
        let state = bus.ensure_stream().await?;
        for consumer in routing::consumers_of(self.relay.producer) {
            bus.ensure_consumer(&consumer).await?;
        }
        let backwards = rows::went_backwards(&mut self.conn, schema, &state);
        if timed("compare the stream with the outbox", backwards).await? {
            self.rewind().await?;
        }
        self.connection = connection;
        self.highest = state.last;
        self.stream = Some(state.id.clone());
        Ok(state.id)
    }

    async fn rewind(&mut self) -> Result<(), OutboxError> {
        let schema = self.relay.schema;
        let rows = timed("rewind", rows::rewind(&mut self.conn, schema)).await?;
        self.relay.metrics.rewinds.inc();
        tracing::warn!(
            rows,
            schema = schema.name(),
            "the stream went backwards: publishing again what is not done"
        );
        Ok(())
    }

    /// Publishes what is pending. What was committed meanwhile, perhaps without a notification, is looked for at the next pace
    /// instead of at once: under load that finds rows, where a look behind every batch would find none.
    async fn publish_and_look_again(&mut self) -> Result<(), OutboxError> {
        if self.publish().await? {
            self.wake.notify_one();
        }
        Ok(())
    }

    async fn publish_the_rest(&mut self) -> Result<(), OutboxError> {
        for _ in 0..BATCHES {
            if !self.publish().await? {
                break;
            }
        }
        Ok(())
    }

    /// Publishes pending rows, some batches at a time: receipts and shutdown have their turn in
    /// between. Failures of the bus are waited out here, so that receipts are still taken and the
    /// lock is kept. False if nothing is left to look for.
    async fn publish(&mut self) -> Result<bool, OutboxError> {
        // While disconnected every request would end in a timeout.
        let connection = self.relay.bus.connection();
        if Instant::now() < self.publish_after || connection.is_none() {
            return Ok(false);
        }
        // Connected again, perhaps to a server without the stream: check before publishing.
        if connection != self.connection {
            self.stream = None;
        }
        for _ in 0..BATCHES {
            match self.publish_batch().await {
                Ok(published) => {
                    self.backoff.reset();
                    if published < rows::BATCH {
                        return Ok(published > 0);
                    }
                }
                Err(error @ OutboxError::Query { .. }) => return Err(error),
                Err(error) => {
                    self.pause_after(&error);
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn pause_after(&mut self, error: &(dyn std::error::Error + 'static)) {
        self.publish_after = Instant::now() + self.backoff.pause();
        self.stream = None;
        tracing::warn!(error, "publishing interrupted");
    }

    async fn publish_batch(&mut self) -> Result<usize, OutboxError> {
        let schema = self.relay.schema;
        let batch = timed("read the outbox", rows::pending(&mut self.conn, schema)).await?;
        if batch.is_empty() {
            return Ok(0);
        }
        let stream = match self.stream.clone() {
            Some(stream) => stream,
            None => self.check_stream().await?,
        };
        let bus = self.relay.bus.as_ref();
        let outcome = publish::batch(bus, batch, self.relay.options.in_flight).await;
        let published = outcome.marks.len();
        let mark = rows::mark(&mut self.conn, schema, &stream, &outcome.marks);
        timed("mark rows", mark).await?;
        self.relay.metrics.published.inc_by(published as u64);
        self.note_positions(&outcome.marks);
        match outcome.error {
            Some(error) => Err(error),
            None => Ok(published),
        }
    }

    /// New positions below old ones: the stream was replaced while it was published to.
    fn note_positions(&mut self, marks: &[Mark]) {
        let mut fresh = marks.iter().filter(|mark| !mark.published.duplicate);
        if fresh.any(|mark| self.highest.include(mark.published.position)) {
            self.stream = None;
        }
        for mark in marks {
            self.highest.advance(mark.published.position);
        }
    }

    /// What is due at each check: metrics, deletion of old rows, the stream, overdue rows.
    async fn check(&mut self) -> Result<(), OutboxError> {
        let (schema, metrics) = (self.relay.schema, &self.relay.metrics);
        let backlog = timed("measure", rows::backlog(&mut self.conn, schema)).await?;
        metrics.pending.set(backlog.pending);
        metrics.unreceipted.set(backlog.unreceipted);
        metrics.oldest_age.set(backlog.oldest_age_secs);
        let sweep = rows::sweep(&mut self.conn, schema, self.relay.options.keep);
        timed("sweep", sweep).await?;
        match self.check_bus().await {
            Ok(()) => {}
            Err(error @ OutboxError::Query { .. }) => return Err(error),
            Err(error) => {
                let error: &(dyn std::error::Error + 'static) = &error;
                tracing::warn!(error, "the stream could not be checked");
                self.stream = None;
            }
        }
        self.publish_and_look_again().await
    }

    async fn check_bus(&mut self) -> Result<(), OutboxError> {
        if self.relay.bus.connection().is_none() {
            return Ok(());
        }
        self.check_stream().await?;
        let (bus, grace) = (self.relay.bus.as_ref(), self.relay.options.grace);
        overdue::settle(&mut self.conn, bus, self.relay.schema, grace).await
    }

    async fn write_receipts(&mut self) -> Result<(), OutboxError> {
        let batch = std::mem::take(&mut self.received);
        let types = receipts::expected(self.relay.producer);
        let write = rows::receipt(&mut self.conn, self.relay.schema, &types, &batch);
        timed("record receipts", write).await
    }
}

/// Waits for an instant; for ever if there is none.
async fn due(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

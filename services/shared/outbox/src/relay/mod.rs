//! Publishes what was appended, and keeps it until every consumer has sent its receipt.

mod context;
mod overdue;
mod publish;
pub(crate) mod receipts;
mod rows;
mod worker;

use bus::Bus;
use sqlx::postgres::{PgListener, PgPool, PgPoolOptions};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::append::channel;
use crate::error::{Attempting, OutboxError};
use crate::lock::{acquire, supervise, timed};
use crate::metrics::Metrics;
use crate::schema::Schema;
use context::Context;
pub use context::RelayOptions;
pub(crate) use rows::Pending;
use worker::Worker;

/// The relay of one schema. Run one per process; one of all processes is active.
pub struct Relay(Context);

impl Relay {
    /// A relay for the events that `producer` publishes, from the outbox of `schema`.
    pub fn new(
        pool: PgPool,
        bus: Bus,
        schema: Schema,
        producer: &'static str,
        metrics: Metrics,
    ) -> Self {
        Self(Context {
            pool,
            bus,
            schema,
            producer,
            metrics,
            options: RelayOptions::default(),
        })
    }

    /// The same with other times and sizes.
    #[must_use]
    pub fn options(self, options: RelayOptions) -> Self {
        Self(Context { options, ..self.0 })
    }

    /// Relays until shutdown. Continues after restarts of the bus and of the database.
    pub async fn run(self, shutdown: CancellationToken) {
        supervise("relay", &shutdown, || self.session(&shutdown)).await;
    }

    async fn session(&self, shutdown: &CancellationToken) -> Result<(), OutboxError> {
        let Context {
            pool,
            schema,
            options,
            ..
        } = &self.0;
        let lock = format!("outbox relay {}", schema.name());
        let Some(mut conn) = acquire(pool, &lock, options.standby, shutdown).await? else {
            return Ok(());
        };
        timed(
            "disable synchronous commit",
            rows::commit_asynchronously(&mut conn),
        )
        .await?;
        tracing::info!(schema = schema.name(), "relay active");
        let active = Active::new(&self.0.metrics);
        let wake = Notify::new();
        let result = tokio::select! {
            result = self.listen(&wake) => result,
            result = Worker::run(&self.0, conn, &wake, shutdown) => result,
        };
        drop(active);
        result
    }

    /// Wakes the worker when a row is appended.
    async fn listen(&self, wake: &Notify) -> Result<(), OutboxError> {
        // A pool of its own: the listener keeps its connection, the service's pool is for requests.
        let options = self.0.pool.connect_options().as_ref().clone();
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .connect_lazy_with(options);
        let listener = PgListener::connect_with(&pool).await;
        let mut listener = listener.attempting("listen")?;
        let listening = listener.listen(&channel(self.0.schema)).await;
        listening.attempting("listen")?;
        loop {
            // A lost connection is reported as none: wake then too, a notification may have been missed.
            listener.try_recv().await.attempting("listen")?;
            wake.notify_one();
        }
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
        // The next active relay measures; two processes must not both report the backlog.
        self.0.pending.set(0);
        self.0.unreceipted.set(0);
        self.0.oldest_age.set(0.0);
    }
}

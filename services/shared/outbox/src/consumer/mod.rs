//! Handles events: each once, each aggregate's in order.

mod context;
mod dead_letters;
mod handler;
mod inbox;
mod process;
mod queues;
mod receive;
mod session;

use bus::Bus;
use sqlx::postgres::PgPool;
use tokio_util::sync::CancellationToken;

pub use context::ConsumerOptions;
pub use dead_letters::{DeadLetter, dead_letters, replay_dead_letter};
pub use handler::{Handler, HandlerError};

use crate::lock::supervise;
use crate::metrics::Metrics;
use crate::schema::Schema;
use context::Context;

/// The consumer of one service. Run one per process; one of all processes is active, because two
/// would handle one aggregate's events out of order.
pub struct Consumer<H>(Context<H>);

impl<H: Handler> Consumer<H> {
    /// A consumer with its inbox in `schema`.
    pub fn new(pool: PgPool, bus: Bus, schema: Schema, handler: H, metrics: Metrics) -> Self {
        Self(Context {
            pool,
            bus,
            schema,
            handler,
            metrics,
            options: ConsumerOptions::default(),
        })
    }

    /// The same with other times and sizes.
    #[must_use]
    pub fn options(self, options: ConsumerOptions) -> Self {
        Self(Context { options, ..self.0 })
    }

    /// Consumes until shutdown. Continues after restarts of the bus and of the database.
    pub async fn run(self, shutdown: CancellationToken) {
        supervise("consumer", &shutdown, || session::run(&self.0, &shutdown)).await;
    }
}

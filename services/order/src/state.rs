//! The parts of the process that handlers, consumers and the periodic job use.

use std::sync::Arc;

use axum::extract::FromRef;
use chassis::{Problem, Tasks, Verifier};
use chrono::{DateTime, Utc};
use outbox::EventMeta;
use sqlx::pool::PoolConnection;
use sqlx::{PgPool, Postgres, Transaction};
use vocabulary::{Clock, Currency, Entropy, EventId};

use crate::checkout::render::Render;
use crate::clients::Clients;
use crate::metrics::Metrics;

/// Cheap to clone.
#[derive(Clone)]
pub struct AppState {
    pub pool: PgPool,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub clients: Clients,
    /// Writes the responses that idempotency keys store.
    pub renderer: Arc<dyn Render>,
    pub verifier: Arc<Verifier>,
    pub metrics: Metrics,
    /// The tracked spawner: a checkout goes on when its client has disconnected.
    pub tasks: Tasks,
    /// Currencies of the shop; the first is the default.
    pub currencies: Arc<[Currency]>,
}

impl AppState {
    /// A connection; 503 if none is free.
    pub async fn acquire(&self) -> Result<PoolConnection<Postgres>, Problem> {
        self.pool
            .acquire()
            .await
            .map_err(|error| no_database(&error))
    }

    /// A transaction; 503 if no connection is free.
    pub async fn begin(&self) -> Result<Transaction<'static, Postgres>, Problem> {
        self.pool.begin().await.map_err(|error| no_database(&error))
    }

    /// The envelope of an event of this moment, with the current trace.
    pub fn meta(&self, now: DateTime<Utc>) -> EventMeta {
        EventMeta::new(EventId::mint(now, &*self.entropy), now).traced(chassis::trace::current())
    }
}

fn no_database(error: &sqlx::Error) -> Problem {
    tracing::warn!(%error, "no database connection");
    Problem::unavailable(1)
}

impl FromRef<AppState> for Arc<Verifier> {
    fn from_ref(app: &AppState) -> Self {
        Arc::clone(&app.verifier)
    }
}

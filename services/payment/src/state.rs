//! The parts of the process that handlers, consumers and the worker share.

use std::sync::Arc;

use axum::extract::FromRef;
use chassis::{InternalToken, Problem, Verifier};
use chrono::{DateTime, Utc};
use outbox::EventMeta;
use sqlx::pool::PoolConnection;
use sqlx::{PgPool, Postgres, Transaction};
use tokio::sync::Notify;
use vocabulary::{Clock, Entropy, EventId};

use crate::metrics::Metrics;
use crate::providers::Providers;

/// Cheap to clone.
#[derive(Clone)]
pub struct AppState {
    pub pool: PgPool,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub verifier: Arc<Verifier>,
    /// The token that services present to each other.
    pub internal: InternalToken,
    pub providers: Arc<Providers>,
    /// Wakes the worker of this process.
    pub wake: Arc<Notify>,
    pub metrics: Metrics,
}

impl AppState {
    /// A connection; 503 when the database has none to give.
    pub async fn acquire(&self) -> Result<PoolConnection<Postgres>, Problem> {
        self.pool
            .acquire()
            .await
            .map_err(|error| no_database(&error))
    }

    /// A transaction; 503 when the database has none to give.
    pub async fn begin(&self) -> Result<Transaction<'static, Postgres>, Problem> {
        outbox::pool::begin(&self.pool)
            .await
            .map_err(|error| no_database(&error))
    }

    /// The envelope of an event, with the current trace.
    pub fn meta(&self, now: DateTime<Utc>) -> EventMeta {
        EventMeta::new(EventId::mint(now, &*self.entropy), now).traced(chassis::trace::current())
    }
}

fn no_database(error: &sqlx::Error) -> Problem {
    tracing::warn!(%error, "no database connection");
    Problem::unavailable(1)
}

impl FromRef<AppState> for InternalToken {
    fn from_ref(app: &AppState) -> Self {
        app.internal.clone()
    }
}

impl FromRef<AppState> for Arc<Verifier> {
    fn from_ref(app: &AppState) -> Self {
        Arc::clone(&app.verifier)
    }
}

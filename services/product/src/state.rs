//! What every handler can reach.

use std::sync::Arc;

use axum::extract::FromRef;
use chassis::{InternalToken, Problem, Verifier};
use chrono::{DateTime, Utc};
use outbox::EventMeta;
use sqlx::pool::PoolConnection;
use sqlx::{PgPool, Postgres, Transaction};
use vocabulary::{Clock, Entropy, EventId};

use crate::cards::Cards;
use crate::metrics::Metrics;

/// The parts of a running process. Cheap to clone.
#[derive(Clone)]
pub struct AppState {
    /// The room's own database.
    pub pool: PgPool,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Checks bearer tokens.
    pub verifier: Arc<Verifier>,
    /// What our own services show.
    pub internal: InternalToken,
    /// Cards of products, remembered for a while.
    pub cards: Cards,
    /// Series.
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
        self.pool.begin().await.map_err(|error| no_database(&error))
    }

    /// Id, time and trace of a new event.
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

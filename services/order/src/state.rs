//! What every handler can reach.

use std::sync::Arc;

use axum::extract::FromRef;
use chassis::{Problem, Tasks, Verifier};
use chrono::{DateTime, Utc};
use outbox::EventMeta;
use sqlx::pool::PoolConnection;
use sqlx::{PgPool, Postgres, Transaction};
use vocabulary::{Clock, Currency, Entropy, EventId};

use crate::metrics::Metrics;
use crate::peers::Peers;

/// The parts of a running process. Cheap to clone.
#[derive(Clone)]
pub struct AppState {
    /// The room's own database.
    pub pool: PgPool,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// The services that a checkout asks.
    pub peers: Peers,
    /// Checks bearer tokens.
    pub verifier: Arc<Verifier>,
    /// Series.
    pub metrics: Metrics,
    /// The tracked spawner: a checkout goes on when its client has left.
    pub tasks: Tasks,
    /// Currencies of the shop; the first is the default.
    pub currencies: Arc<[Currency]>,
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

    /// The envelope of an event that happens now, with the trace of the work in hand.
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

//! What every handler can reach.

use std::sync::Arc;

use axum::extract::FromRef;
use chassis::{Problem, Verifier};
use sqlx::pool::PoolConnection;
use sqlx::{PgPool, Postgres};
use vocabulary::{Clock, Entropy};

use crate::domain::letter::Shop;
use crate::metrics::Metrics;

/// The parts of a running process. Cheap to clone.
#[derive(Clone)]
pub struct AppState {
    /// The room's own database.
    pub pool: PgPool,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness of ids and of jitter.
    pub entropy: Arc<dyn Entropy>,
    /// Checks bearer tokens.
    pub verifier: Arc<Verifier>,
    /// Who writes.
    pub shop: Arc<Shop>,
    /// Series.
    pub metrics: Metrics,
}

impl AppState {
    /// A connection; 503 when the database has none to give.
    pub async fn acquire(&self) -> Result<PoolConnection<Postgres>, Problem> {
        self.pool.acquire().await.map_err(|error| {
            tracing::warn!(%error, "no database connection");
            Problem::unavailable(1)
        })
    }
}

impl FromRef<AppState> for Arc<Verifier> {
    fn from_ref(app: &AppState) -> Self {
        Arc::clone(&app.verifier)
    }
}

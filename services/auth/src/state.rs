//! What every handler can reach.

use std::sync::Arc;

use axum::extract::FromRef;
use chassis::{InternalToken, Problem};
use chrono::{DateTime, Utc};
use sqlx::pool::PoolConnection;
use sqlx::{PgPool, Postgres, Transaction};
use vocabulary::{Clock, Entropy};

use crate::domain::account::Principal;
use crate::domain::signing::{Keyring, SignError};
use crate::hasher::Hasher;
use crate::metrics::Metrics;
use crate::tallies::LoginTallies;

/// The parts of a running process. Cheap to clone.
#[derive(Clone)]
pub struct AppState {
    /// The room's own database.
    pub pool: PgPool,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness of ids.
    pub entropy: Arc<dyn Entropy>,
    /// Password hashing.
    pub hasher: Hasher,
    /// Failed logins.
    pub tallies: LoginTallies,
    /// Signing keys, `iss` and `aud`.
    pub issuer: Arc<Issuer>,
    /// What our own services show.
    pub internal: InternalToken,
    /// Series.
    pub metrics: Metrics,
}

/// Who signs tokens, and for whom.
pub struct Issuer {
    /// The keys.
    pub keyring: Keyring,
    /// `iss`.
    pub name: String,
    /// `aud`.
    pub audience: String,
}

impl Issuer {
    /// An access token for somebody.
    pub fn sign(&self, who: &Principal, now: DateTime<Utc>) -> Result<String, SignError> {
        self.keyring.sign(&self.name, &self.audience, who, now)
    }
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
}

fn no_database(error: &sqlx::Error) -> Problem {
    tracing::warn!(%error, "no database connection");
    Problem::unavailable(1)
}

/// Commits; an error means that nothing is known about the outcome, so the client must ask again.
pub async fn commit(tx: Transaction<'static, Postgres>) -> Result<(), Problem> {
    tx.commit().await.map_err(|error| Problem::internal(&error))
}

impl FromRef<AppState> for InternalToken {
    fn from_ref(app: &AppState) -> Self {
        app.internal.clone()
    }
}

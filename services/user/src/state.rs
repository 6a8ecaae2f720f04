//! The state of the service.

use std::sync::Arc;

use axum::extract::FromRef;
use chassis::{InternalToken, Verifier};
use service::Core;

use crate::accounts::Accounts;
use crate::metrics::Metrics;

/// What handlers and consumers use. Cheap to clone.
#[derive(Clone)]
pub struct AppState {
    /// Database, clock, random source.
    pub core: Core,
    /// Client of auth.
    pub accounts: Accounts,
    /// Verifies bearer tokens.
    pub verifier: Arc<Verifier>,
    /// Authenticates other services.
    pub internal: InternalToken,
    /// Metrics.
    pub metrics: Metrics,
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

//! The state of the service.

use std::sync::Arc;

use axum::extract::FromRef;
use chassis::{InternalToken, Verifier};
use service::Core;

use crate::cards::Cards;
use crate::metrics::Metrics;
use crate::together::Together;

/// What handlers, consumers and tasks use. Cheap to clone.
#[derive(Clone)]
pub struct AppState {
    /// Database, clock, random source.
    pub core: Core,
    /// Verifies bearer tokens.
    pub verifier: Arc<Verifier>,
    /// Authenticates other services.
    pub internal: InternalToken,
    /// Requests that are stored together.
    pub together: Arc<Together>,
    /// Cached product cards.
    pub cards: Cards,
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

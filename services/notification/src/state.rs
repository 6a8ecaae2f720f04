//! The state of the service.

use std::sync::Arc;

use axum::extract::FromRef;
use chassis::Verifier;
use service::Core;

use crate::metrics::Metrics;
use crate::shop::Shop;

/// What handlers, consumers and tasks use. Cheap to clone.
#[derive(Clone)]
pub struct AppState {
    /// Database, clock, random source.
    pub core: Core,
    /// Verifies bearer tokens.
    pub verifier: Arc<Verifier>,
    /// The shop that mail is sent for.
    pub shop: Arc<Shop>,
    /// Metrics.
    pub metrics: Metrics,
}

impl FromRef<AppState> for Arc<Verifier> {
    fn from_ref(app: &AppState) -> Self {
        Arc::clone(&app.verifier)
    }
}

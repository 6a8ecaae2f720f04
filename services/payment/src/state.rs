//! The state of the service.

use std::sync::Arc;

use axum::extract::FromRef;
use chassis::{InternalToken, Verifier};
use service::{Core, Gather};
use tokio::sync::Notify;

use crate::attempts::store::write::New;
use crate::metrics::Metrics;
use crate::providers::Providers;

/// What handlers, consumers and the worker use. Cheap to clone.
#[derive(Clone)]
pub struct AppState {
    /// Database, clock, random source.
    pub core: Core,
    /// Verifies bearer tokens.
    pub verifier: Arc<Verifier>,
    /// Authenticates other services.
    pub internal: InternalToken,
    pub providers: Arc<Providers>,
    /// New payments that are stored together.
    pub requests: Arc<Gather<New, ()>>,
    /// Wakes the worker of this process.
    pub wake: Arc<Notify>,
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

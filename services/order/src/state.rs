//! What handlers, consumers and periodic tasks use.

use std::sync::Arc;

use axum::extract::FromRef;
use chassis::{Tasks, Verifier};
use service::{Core, Gather, StoreError};
use vocabulary::Currency;

use crate::checkout::render::Render;
use crate::checkout::store::checkouts::{Saved, Saving, Start, Starting};
use crate::clients::Clients;
use crate::metrics::Metrics;

/// Cheap to clone.
#[derive(Clone)]
pub struct AppState {
    pub core: Core,
    /// Checkouts that are started together.
    pub starts: Arc<Gather<Starting, Result<Start, StoreError>>>,
    /// Stages of checkouts that are stored together.
    pub advances: Arc<Gather<Saving, Result<Saved, StoreError>>>,
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

impl FromRef<AppState> for Arc<Verifier> {
    fn from_ref(app: &AppState) -> Self {
        Arc::clone(&app.verifier)
    }
}

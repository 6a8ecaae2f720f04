//! What this room hears.

mod order_cancelled;

use events::{Event, EventType};
use outbox::{EffectError, Effects};
use sqlx::PgConnection;

use crate::state::AppState;
use crate::store::StoreError;

/// Hears what becomes of orders.
pub struct Listener {
    app: AppState,
}

impl Listener {
    /// A listener with the parts of the process.
    pub fn new(app: &AppState) -> Self {
        Self { app: app.clone() }
    }
}

impl Effects for Listener {
    fn consumer(&self) -> &'static str {
        "product"
    }

    fn subjects(&self) -> &'static [EventType] {
        &[EventType::OrderCancelled]
    }

    async fn apply(&self, conn: &mut PgConnection, event: &Event) -> Result<(), EffectError> {
        order_cancelled::apply(&self.app, conn, &event.payload()?).await
    }
}

impl From<StoreError> for EffectError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Query { query, source } => {
                tracing::warn!(query, "an effect failed");
                source.into()
            }
            bad @ (StoreError::BadProduct(_) | StoreError::BadReservation(_)) => Self::poison(bad),
        }
    }
}

//! What this room hears.

mod order_cancelled;

use events::{Event, EventType};
use outbox::{Handler, HandlerError};
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

impl Handler for Listener {
    fn consumer(&self) -> &'static str {
        "product"
    }

    fn event_types(&self) -> &'static [EventType] {
        &[EventType::OrderCancelled]
    }

    async fn handle(&self, conn: &mut PgConnection, event: &Event) -> Result<(), HandlerError> {
        order_cancelled::apply(&self.app, conn, &event.payload()?).await
    }
}

impl From<StoreError> for HandlerError {
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

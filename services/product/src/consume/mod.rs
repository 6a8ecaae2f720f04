//! The events that product consumes.

mod order_cancelled;

use events::{Event, EventType};
use outbox::{Handler, HandlerError};
use sqlx::PgConnection;

use crate::state::AppState;
use crate::store::StoreError;

/// The handler of events.
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
        order_cancelled::handle(&self.app, conn, &event.payload()?).await
    }
}

impl From<StoreError> for HandlerError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Query { query, source } => {
                tracing::warn!(query, "a query of an event handler failed");
                source.into()
            }
            bad @ (StoreError::BadProduct(_) | StoreError::BadReservation(_)) => Self::poison(bad),
            contended @ StoreError::Contended(_) => Self::transient(contended),
        }
    }
}

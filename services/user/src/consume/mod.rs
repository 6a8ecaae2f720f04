//! What this room hears.

mod user_registered;

use std::sync::Arc;

use events::{Event, EventType};
use outbox::{Handler, HandlerError};
use sqlx::PgConnection;
use vocabulary::Clock;

use crate::state::AppState;
use crate::store::StoreError;

/// Hears that accounts were made.
pub struct Listener {
    clock: Arc<dyn Clock>,
}

impl Listener {
    /// A listener with the clock of the process.
    pub fn new(app: &AppState) -> Self {
        Self {
            clock: Arc::clone(&app.clock),
        }
    }
}

impl Handler for Listener {
    fn consumer(&self) -> &'static str {
        "user"
    }

    fn event_types(&self) -> &'static [EventType] {
        &[EventType::UserRegistered]
    }

    async fn handle(&self, conn: &mut PgConnection, event: &Event) -> Result<(), HandlerError> {
        user_registered::apply(conn, &event.payload()?, self.clock.now()).await
    }
}

impl From<StoreError> for HandlerError {
    fn from(error: StoreError) -> Self {
        tracing::warn!(query = error.query, "an effect failed");
        error.source.into()
    }
}

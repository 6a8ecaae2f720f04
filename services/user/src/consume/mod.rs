//! What this room hears.

mod user_registered;

use std::sync::Arc;

use events::{Event, EventType};
use outbox::{EffectError, Effects};
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

impl Effects for Listener {
    fn consumer(&self) -> &'static str {
        "user"
    }

    fn subjects(&self) -> &'static [EventType] {
        &[EventType::UserRegistered]
    }

    async fn apply(&self, conn: &mut PgConnection, event: &Event) -> Result<(), EffectError> {
        user_registered::apply(conn, &event.payload()?, self.clock.now()).await
    }
}

impl From<StoreError> for EffectError {
    fn from(error: StoreError) -> Self {
        tracing::warn!(query = error.query, "an effect failed");
        error.source.into()
    }
}

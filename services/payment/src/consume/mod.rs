//! What this room hears.

mod order_cancelled;
mod order_placed;

use events::{Event, EventType};
use outbox::{Handler, HandlerError};
use sqlx::PgConnection;

use crate::operate::OperateError;
use crate::state::AppState;
use crate::store::StoreError;

/// Hears what becomes of orders.
pub struct Listener {
    app: AppState,
}

impl Listener {
    /// A listener with the parts of the process.
    pub fn new(app: AppState) -> Self {
        Self { app }
    }
}

impl Handler for Listener {
    fn consumer(&self) -> &'static str {
        "payment"
    }

    fn event_types(&self) -> &'static [EventType] {
        &[EventType::OrderPlaced, EventType::OrderCancelled]
    }

    async fn handle(&self, conn: &mut PgConnection, event: &Event) -> Result<(), HandlerError> {
        match event.ty {
            EventType::OrderPlaced => order_placed::apply(&self.app, conn, &event.payload()?).await,
            EventType::OrderCancelled => {
                order_cancelled::apply(&self.app, conn, &event.payload()?).await
            }
            other => Err(HandlerError::poison(format!("{other} is not heard here"))),
        }
    }

    // An effect locks its payment and nothing else.
    fn batch_size(&self) -> usize {
        32
    }
}

impl From<OperateError> for HandlerError {
    fn from(error: OperateError) -> Self {
        match error {
            OperateError::Store(StoreError::Query { query, source }) => {
                tracing::warn!(query, "an effect failed");
                source.into()
            }
            OperateError::Outbox(source) => source.into(),
            other => Self::transient(other),
        }
    }
}

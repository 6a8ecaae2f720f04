//! The events that this service consumes.

mod order_cancelled;
mod order_placed;

use events::{Event, EventType};
use outbox::{Handler, HandlerError};
use sqlx::PgConnection;

use crate::attempts::execute::OperateError;
use crate::attempts::store::StoreError;
use crate::state::AppState;

/// Consumes the events of orders.
pub struct Listener {
    app: AppState,
}

impl Listener {
    /// A listener.
    pub fn new(app: AppState) -> Self {
        Self { app }
    }
}

impl Handler for Listener {
    fn consumer(&self) -> &'static str {
        "payment"
    }

    fn event_types(&self) -> &[EventType] {
        &[EventType::OrderPlaced, EventType::OrderCancelled]
    }

    async fn handle(&self, conn: &mut PgConnection, event: &Event) -> Result<(), HandlerError> {
        match event.ty {
            EventType::OrderPlaced => order_placed::apply(&self.app, conn, &event.payload()?).await,
            EventType::OrderCancelled => {
                order_cancelled::apply(&self.app, conn, &event.payload()?).await
            }
            other => Err(HandlerError::poison(format!(
                "{other} is not consumed here"
            ))),
        }
    }

    // A handler locks its payment and nothing else.
    fn batch_size(&self) -> usize {
        32
    }
}

impl From<OperateError> for HandlerError {
    fn from(error: OperateError) -> Self {
        match error {
            OperateError::Store(StoreError::Query { query, source }) => {
                tracing::warn!(query, "consuming an event failed");
                source.into()
            }
            OperateError::Outbox(source) => source.into(),
            other => Self::transient(other),
        }
    }
}

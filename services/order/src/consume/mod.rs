//! Events that this service consumes.

mod locked;
mod payment_authorised;
mod payment_captured;
mod payment_failed;

use events::{Event, EventType};
use outbox::{Handler, HandlerError};
use sqlx::PgConnection;

use crate::state::AppState;

/// Applies what happens to payments.
pub struct Consumers {
    app: AppState,
}

impl Consumers {
    pub fn new(app: AppState) -> Self {
        Self { app }
    }
}

impl Handler for Consumers {
    fn consumer(&self) -> &'static str {
        "order"
    }

    fn event_types(&self) -> &'static [EventType] {
        &[
            EventType::PaymentAuthorised,
            EventType::PaymentCaptured,
            EventType::PaymentFailed,
        ]
    }

    async fn handle(&self, conn: &mut PgConnection, event: &Event) -> Result<(), HandlerError> {
        match event.ty {
            EventType::PaymentAuthorised => {
                payment_authorised::apply(&self.app, conn, &event.payload()?).await
            }
            EventType::PaymentCaptured => {
                payment_captured::apply(&self.app, conn, &event.payload()?).await
            }
            EventType::PaymentFailed => {
                payment_failed::apply(&self.app, conn, &event.payload()?).await
            }
            other => Err(HandlerError::poison(format!(
                "{other} is not consumed here"
            ))),
        }
    }

    // An effect locks one order, or one checkout that nobody writes, and nothing else.
    fn batch_size(&self) -> usize {
        32
    }
}

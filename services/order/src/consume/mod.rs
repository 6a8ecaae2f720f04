//! What this room hears.

mod payment_captured;
mod payment_failed;

use events::{Event, EventType};
use outbox::{Handler, HandlerError};
use sqlx::PgConnection;
use vocabulary::{OrderId, PaymentId};

use crate::domain::order::Order;
use crate::state::AppState;
use crate::store::{StoreError, orders};

/// Hears what becomes of the money.
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
        "order"
    }

    fn event_types(&self) -> &'static [EventType] {
        &[EventType::PaymentCaptured, EventType::PaymentFailed]
    }

    async fn handle(&self, conn: &mut PgConnection, event: &Event) -> Result<(), HandlerError> {
        match event.ty {
            EventType::PaymentCaptured => {
                payment_captured::apply(&self.app, conn, &event.payload()?).await
            }
            EventType::PaymentFailed => {
                payment_failed::apply(&self.app, conn, &event.payload()?).await
            }
            other => Err(HandlerError::poison(format!("{other} is not heard here"))),
        }
    }

    // An effect locks its order and nothing else.
    fn batch_size(&self) -> usize {
        32
    }
}

/// The order that a payment is for, under its lock. A payment is captured because its order was placed, so the order is there.
async fn lock_order(
    conn: &mut PgConnection,
    id: OrderId,
    payment_id: PaymentId,
) -> Result<Order, HandlerError> {
    match orders::lock(conn, id, None).await? {
        Some(order) if order.payment_id == payment_id => Ok(order),
        Some(_) => Err(HandlerError::poison(format!(
            "{payment_id} is not the payment of {id}"
        ))),
        None => Err(HandlerError::poison(format!("there is no order {id}"))),
    }
}

impl From<StoreError> for HandlerError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Query { query, source } => {
                tracing::warn!(query, "an effect failed");
                source.into()
            }
            stale @ StoreError::Stale(_) => Self::transient(stale),
            bad @ StoreError::BadRow(_) => Self::poison(bad),
        }
    }
}

//! What this room hears.

mod payment_captured;
mod payment_failed;

use events::{Event, EventType};
use outbox::{EffectError, Effects};
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

impl Effects for Listener {
    fn consumer(&self) -> &'static str {
        "order"
    }

    fn subjects(&self) -> &'static [EventType] {
        &[EventType::PaymentCaptured, EventType::PaymentFailed]
    }

    async fn apply(&self, conn: &mut PgConnection, event: &Event) -> Result<(), EffectError> {
        match event.ty {
            EventType::PaymentCaptured => {
                payment_captured::apply(&self.app, conn, &event.payload()?).await
            }
            EventType::PaymentFailed => {
                payment_failed::apply(&self.app, conn, &event.payload()?).await
            }
            other => Err(EffectError::poison(format!("{other} is not heard here"))),
        }
    }

    // An effect locks its order and nothing else.
    fn together(&self) -> usize {
        32
    }
}

/// The order that a payment is for, under its lock. A payment is captured because its order was placed, so the order is there.
async fn lock_order(
    conn: &mut PgConnection,
    id: OrderId,
    payment_id: PaymentId,
) -> Result<Order, EffectError> {
    match orders::lock(conn, id, None).await? {
        Some(order) if order.payment_id == payment_id => Ok(order),
        Some(_) => Err(EffectError::poison(format!(
            "{payment_id} is not the payment of {id}"
        ))),
        None => Err(EffectError::poison(format!("there is no order {id}"))),
    }
}

impl From<StoreError> for EffectError {
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

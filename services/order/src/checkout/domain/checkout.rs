use chrono::{DateTime, Utc};
use vocabulary::{Entropy, OrderId, PaymentId, ReservationId, UserId};

use super::quote::Quote;
use super::stage::Stage;
use crate::cart::domain::Cart;
use crate::orders::domain::{self, Order};

/// A checkout: its facts, fixed when it starts, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkout {
    /// Also the id of the order that comes out of it.
    pub id: OrderId,
    pub user_id: UserId,
    pub reservation_id: ReservationId,
    pub payment_id: PaymentId,
    /// The client's `Idempotency-Key`.
    pub key: String,
    pub cart: Cart,
    pub persisted: Persisted,
    /// Fences drivers that lost their lease: a write names the version that it read.
    pub version: i64,
    /// W3C trace context of the request that started it.
    pub traceparent: Option<String>,
}

/// The part of a checkout's row that [`super::decide`] reads and that a step writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Persisted {
    pub stage: Stage,
    /// Attempts in a row at the current effect that were not answered, or found the payment still open.
    pub attempts: u32,
}

impl Persisted {
    /// After one more attempt.
    pub(super) fn attempted(&self) -> Self {
        Self {
            stage: self.stage.clone(),
            attempts: self.attempts.saturating_add(1),
        }
    }
}

impl From<Stage> for Persisted {
    fn from(stage: Stage) -> Self {
        Self { stage, attempts: 0 }
    }
}

impl Checkout {
    /// Creates every id that the checkout will ever use: a repeated call is the same call.
    pub fn start(
        user_id: UserId,
        key: String,
        cart: Cart,
        now: DateTime<Utc>,
        entropy: &dyn Entropy,
    ) -> Self {
        Self {
            id: OrderId::mint(now, entropy),
            user_id,
            reservation_id: ReservationId::mint(now, entropy),
            payment_id: PaymentId::mint(now, entropy),
            key,
            cart,
            persisted: Stage::Started.into(),
            version: 1,
            traceparent: None,
        }
    }

    /// The order of this checkout.
    pub fn order(
        &self,
        quote: &Quote,
        number: String,
        stage: domain::Stage,
        now: DateTime<Utc>,
    ) -> Order {
        Order {
            id: self.id,
            number,
            user_id: self.user_id,
            email: quote.email.clone(),
            lines: quote.lines.clone(),
            total: quote.total,
            address: self.cart.address.clone(),
            payment_id: self.payment_id,
            reservation_id: self.reservation_id,
            placed_at: now,
            stage,
            version: 1,
        }
    }
}

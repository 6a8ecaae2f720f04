use chrono::{DateTime, Utc};
use events::{OrderCancelled, OrderLine, OrderPaid, OrderPlaced};
use vocabulary::{Money, OrderId, PaymentId, ReservationId, UserId};

use super::line::Line;
use super::stage::Stage;
use crate::cart::domain::Address;

/// One order. It comes out of the checkout with the same id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    pub id: OrderId,
    /// The number for people, such as `SF-100042`.
    pub number: String,
    pub user_id: UserId,
    /// Address of the customer when the stock was reserved; messages about the order go there.
    pub email: String,
    pub lines: Vec<Line>,
    pub total: Money,
    pub address: Address,
    pub payment_id: PaymentId,
    pub reservation_id: ReservationId,
    /// When the customer submitted it.
    pub placed_at: DateTime<Utc>,
    pub stage: Stage,
    /// Optimistic lock.
    pub version: i64,
}

/// Result of a request to move an order on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change<E> {
    /// The order moves, and this event is to be published.
    Moved(Box<Order>, E),
    /// It is there already, or past it.
    Unchanged,
}

/// The payment was captured although the order is not placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("order {0} awaits its payment's authorisation and cannot be paid yet")]
pub struct NotPlaced(OrderId);

impl Order {
    /// The event of an order that was placed.
    pub fn placed(&self) -> OrderPlaced {
        OrderPlaced {
            order_id: self.id,
            number: self.number.clone(),
            user_id: self.user_id,
            email: self.email.clone(),
            items: self.items(),
            total: self.total,
            payment_id: self.payment_id,
            reservation_id: self.reservation_id,
        }
    }

    /// The payment is captured. After a cancellation nothing changes: payment refunds on `order.cancelled`.
    pub fn pay(self, paid_at: DateTime<Utc>) -> Result<Change<OrderPaid>, NotPlaced> {
        match self.stage {
            Stage::AwaitingPayment { .. } => Err(NotPlaced(self.id)),
            Stage::Placed => {
                let event = OrderPaid {
                    order_id: self.id,
                    number: self.number.clone(),
                    user_id: self.user_id,
                    email: self.email.clone(),
                    total: self.total,
                    payment_id: self.payment_id,
                };
                let stage = Stage::Paid { paid_at };
                Ok(Change::Moved(Box::new(Self { stage, ..self }), event))
            }
            Stage::Paid { .. } | Stage::Cancelled { .. } => Ok(Change::Unchanged),
        }
    }

    /// The order will not be delivered; payment and product undo their part on the event.
    pub fn cancel(self, cancelled_at: DateTime<Utc>) -> Change<OrderCancelled> {
        if !self.stage.is_cancellable() {
            return Change::Unchanged;
        }
        let event = OrderCancelled {
            order_id: self.id,
            number: self.number.clone(),
            user_id: self.user_id,
            email: self.email.clone(),
            total: self.total,
            payment_id: self.payment_id,
            reservation_id: self.reservation_id,
            items: self.items(),
        };
        let stage = Stage::Cancelled {
            cancelled_at,
            paid_at: self.stage.paid_at(),
        };
        Change::Moved(Box::new(Self { stage, ..self }), event)
    }

    fn items(&self) -> Vec<OrderLine> {
        self.lines
            .iter()
            .map(|line| OrderLine {
                product_id: line.product_id,
                sku: line.sku.clone(),
                title: line.title.clone(),
                quantity: line.quantity,
                unit_price: line.unit_price,
            })
            .collect()
    }
}

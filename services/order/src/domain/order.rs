//! An order: a promise to deliver, with its payment authorised and its stock claimed.

use chrono::{DateTime, Utc};
use events::{OrderCancelled, OrderLine, OrderPaid, OrderPlaced};
use vocabulary::{Money, OrderId, PaymentId, ReservationId, UserId};

use super::cart::{Address, Frozen, Line};
use super::checkout::Checkout;

/// Where an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The shopper committed to it.
    Placed,
    /// The money has arrived.
    Paid {
        /// When.
        paid_at: DateTime<Utc>,
    },
    /// It will not be delivered.
    Cancelled {
        /// When.
        cancelled_at: DateTime<Utc>,
        /// When the money had arrived, if it had.
        paid_at: Option<DateTime<Utc>>,
    },
}

impl Stage {
    /// The name on the wire and in the table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Placed => "placed",
            Self::Paid { .. } => "paid",
            Self::Cancelled { .. } => "cancelled",
        }
    }

    /// When the money arrived.
    pub const fn paid_at(self) -> Option<DateTime<Utc>> {
        match self {
            Self::Placed => None,
            Self::Paid { paid_at } => Some(paid_at),
            Self::Cancelled { paid_at, .. } => paid_at,
        }
    }

    /// When it was cancelled.
    pub const fn cancelled_at(self) -> Option<DateTime<Utc>> {
        match self {
            Self::Placed | Self::Paid { .. } => None,
            Self::Cancelled { cancelled_at, .. } => Some(cancelled_at),
        }
    }

    /// True where the owner may still cancel.
    pub const fn is_cancellable(self) -> bool {
        match self {
            Self::Placed | Self::Paid { .. } => true,
            Self::Cancelled { .. } => false,
        }
    }
}

/// One order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Its id, which was the checkout's.
    pub id: OrderId,
    /// The number that people read.
    pub number: String,
    /// Who ordered.
    pub user_id: UserId,
    /// Where to write to.
    pub email: String,
    /// What was bought.
    pub lines: Vec<Line>,
    /// What it costs.
    pub total: Money,
    /// Where it goes.
    pub address: Address,
    /// Its payment.
    pub payment_id: PaymentId,
    /// Its stock.
    pub reservation_id: ReservationId,
    /// When it was placed.
    pub placed_at: DateTime<Utc>,
    /// Where it stands.
    pub stage: Stage,
    /// Counts its changes.
    pub version: i64,
}

/// What a wish to move on comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change<E> {
    /// The order moves on, and this is what to say about it.
    Moved(Box<Order>, E),
    /// Nothing to do: it is there already, or past it.
    Already(Box<Order>),
}

impl Order {
    /// The order that comes out of a checkout whose stock is claimed.
    pub fn place(
        checkout: &Checkout,
        frozen: &Frozen,
        number: String,
        placed_at: DateTime<Utc>,
    ) -> Self {
        Self {
            id: checkout.id,
            number,
            user_id: checkout.user_id,
            email: frozen.email.clone(),
            lines: frozen.lines.clone(),
            total: frozen.total,
            address: checkout.cart.address.clone(),
            payment_id: checkout.payment_id,
            reservation_id: checkout.reservation_id,
            placed_at,
            stage: Stage::Placed,
            version: 1,
        }
    }

    /// What to say when it is placed.
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

    /// The money has arrived. After a cancellation that is history: the payment goes back by itself.
    pub fn pay(self, paid_at: DateTime<Utc>) -> Change<OrderPaid> {
        match self.stage {
            Stage::Placed => {
                let said = OrderPaid {
                    order_id: self.id,
                    number: self.number.clone(),
                    user_id: self.user_id,
                    email: self.email.clone(),
                    total: self.total,
                    payment_id: self.payment_id,
                };
                let stage = Stage::Paid { paid_at };
                Change::Moved(Box::new(Self { stage, ..self }), said)
            }
            Stage::Paid { .. } | Stage::Cancelled { .. } => Change::Already(Box::new(self)),
        }
    }

    /// The order will not be delivered; its money and its stock go back on the event.
    pub fn cancel(self, cancelled_at: DateTime<Utc>) -> Change<OrderCancelled> {
        match self.stage {
            Stage::Placed | Stage::Paid { .. } => {
                let said = OrderCancelled {
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
                Change::Moved(Box::new(Self { stage, ..self }), said)
            }
            Stage::Cancelled { .. } => Change::Already(Box::new(self)),
        }
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

//! How an order looks on the wire.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use vocabulary::{Money, OrderId, PaymentId, ProductId};

use crate::domain::cart::{Address, Line};
use crate::domain::order::Order;
use crate::store::orders::{Milestone, Told};

/// One order.
#[derive(Serialize, ToSchema)]
pub(crate) struct OrderView {
    /// Its id.
    id: OrderId,
    /// The number that people read.
    #[schema(example = "SF-100042")]
    number: String,
    /// placed, paid or cancelled.
    #[schema(example = "placed")]
    status: &'static str,
    /// What was bought.
    items: Vec<LineView>,
    /// What it costs.
    total: Money,
    /// Where it goes.
    address: Address,
    /// Its payment.
    payment_id: PaymentId,
    /// When it was placed.
    placed_at: DateTime<Utc>,
    /// What happened to it, oldest first.
    history: Vec<Milestone>,
    /// Where to go from here.
    #[serde(rename = "_links")]
    links: Links,
}

/// One line of an order, as it was frozen at checkout.
#[derive(Serialize, ToSchema)]
struct LineView {
    /// The product.
    product_id: ProductId,
    /// Its stock keeping unit.
    sku: String,
    /// Its title.
    title: String,
    /// Pieces.
    quantity: u32,
    /// Price of one piece.
    unit_price: Money,
    /// Price of the line.
    line_total: Money,
}

/// Where to go from here; what is not allowed now is not listed.
#[derive(Serialize, ToSchema)]
struct Links {
    /// This order.
    #[serde(rename = "self")]
    itself: Link,
    /// Its payment.
    payment: Link,
    /// Cancels it.
    #[serde(skip_serializing_if = "Option::is_none")]
    cancel: Option<Link>,
}

/// One way to go.
#[derive(Serialize, ToSchema)]
struct Link {
    /// Address.
    href: String,
    /// How to ask.
    #[schema(example = "GET")]
    method: &'static str,
}

impl From<&Line> for LineView {
    fn from(line: &Line) -> Self {
        // The reservation has checked that every sum fits.
        let total = line.unit_price.times(line.quantity);
        Self {
            product_id: line.product_id,
            sku: line.sku.clone(),
            title: line.title.clone(),
            quantity: line.quantity,
            unit_price: line.unit_price,
            line_total: total.unwrap_or(line.unit_price),
        }
    }
}

impl OrderView {
    fn of(order: &Order, history: Vec<Milestone>) -> Self {
        let href = format!("/v1/orders/{}", order.id.as_uuid());
        let cancel = order.stage.is_cancellable().then(|| Link {
            href: format!("{href}/cancel"),
            method: "POST",
        });
        let payment = Link {
            href: format!("/v1/payments/{}", order.payment_id.as_uuid()),
            method: "GET",
        };
        let itself = Link {
            href,
            method: "GET",
        };
        Self {
            id: order.id,
            number: order.number.clone(),
            status: order.stage.as_str(),
            items: order.lines.iter().map(LineView::from).collect(),
            total: order.total,
            address: order.address.clone(),
            payment_id: order.payment_id,
            placed_at: order.placed_at,
            history,
            links: Links {
                itself,
                payment,
                cancel,
            },
        }
    }
}

/// An order that was placed this moment.
impl From<&Order> for OrderView {
    fn from(order: &Order) -> Self {
        let placed = Milestone {
            status: order.stage.as_str().to_owned(),
            at: order.placed_at,
        };
        Self::of(order, vec![placed])
    }
}

impl From<Told> for OrderView {
    fn from(told: Told) -> Self {
        Self::of(&told.order, told.history)
    }
}

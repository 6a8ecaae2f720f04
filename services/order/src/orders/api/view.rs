//! An order in the API.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use vocabulary::{Money, OrderId, PaymentId, ProductId};

use crate::cart::api::AddressBody;
use crate::orders::domain::{Line, NextAction, Order};
use crate::orders::store::{Milestone, OrderRecord};

/// One order.
#[derive(Serialize, ToSchema)]
pub(crate) struct OrderView {
    /// Its id.
    id: OrderId,
    /// The number that people read.
    #[schema(example = "SF-100042")]
    number: String,
    /// awaiting_payment, placed, paid or cancelled.
    #[schema(example = "placed")]
    status: &'static str,
    /// What the customer has to do before the payment is decided; only while the order awaits its payment.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_action: Option<NextActionView>,
    /// What was bought.
    items: Vec<LineView>,
    /// What it costs.
    total: Money,
    /// Where it goes.
    address: AddressBody,
    /// Its payment.
    payment_id: PaymentId,
    /// When the customer placed it.
    placed_at: DateTime<Utc>,
    /// What happened to it, oldest first.
    history: Vec<MilestoneView>,
    /// Where to go from here.
    #[serde(rename = "_links")]
    links: Links,
}

/// What the customer has to do.
#[derive(Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[schema(as = NextAction)]
enum NextActionView {
    /// Visit a page of the payment provider.
    Redirect {
        /// Address of the page.
        url: String,
    },
}

/// A status that the order reached.
#[derive(Serialize, ToSchema)]
#[schema(as = Milestone)]
struct MilestoneView {
    /// awaiting_payment, placed, paid or cancelled.
    status: String,
    /// When.
    at: DateTime<Utc>,
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
    /// Units.
    quantity: u32,
    /// Price of one unit.
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

/// A request that is possible now.
#[derive(Serialize, ToSchema)]
struct Link {
    /// Address.
    href: String,
    /// HTTP method.
    #[schema(example = "GET")]
    method: &'static str,
}

impl From<&NextAction> for NextActionView {
    fn from(action: &NextAction) -> Self {
        match action {
            NextAction::Redirect { url } => Self::Redirect { url: url.clone() },
        }
    }
}

impl From<Milestone> for MilestoneView {
    fn from(milestone: Milestone) -> Self {
        Self {
            status: milestone.status,
            at: milestone.at,
        }
    }
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
    fn of(order: &Order, history: Vec<MilestoneView>) -> Self {
        Self {
            id: order.id,
            number: order.number.clone(),
            status: order.stage.as_str(),
            next_action: order.stage.next_action().map(NextActionView::from),
            items: order.lines.iter().map(LineView::from).collect(),
            total: order.total,
            address: AddressBody::from(&order.address),
            payment_id: order.payment_id,
            placed_at: order.placed_at,
            history,
            links: Links::of(order),
        }
    }
}

impl Links {
    fn of(order: &Order) -> Self {
        let get = |href| Link {
            href,
            method: "GET",
        };
        let href = format!("/v1/orders/{}", order.id.as_uuid());
        let cancel = order.stage.is_cancellable().then(|| Link {
            href: format!("{href}/cancel"),
            method: "POST",
        });
        Self {
            itself: get(href),
            payment: get(format!("/v1/payments/{}", order.payment_id.as_uuid())),
            cancel,
        }
    }
}

/// An order that was recorded just now.
impl From<&Order> for OrderView {
    fn from(order: &Order) -> Self {
        let milestone = MilestoneView {
            status: order.stage.as_str().to_owned(),
            at: order.placed_at,
        };
        Self::of(order, vec![milestone])
    }
}

impl From<OrderRecord> for OrderView {
    fn from(record: OrderRecord) -> Self {
        let history = record.history.into_iter().map(MilestoneView::from);
        Self::of(&record.order, history.collect())
    }
}

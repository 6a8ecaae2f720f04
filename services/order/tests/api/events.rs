use axum::http::StatusCode;
use events::{Event, EventMeta, Payload, PaymentCaptured, PaymentFailed};
use outbox::{Handler, HandlerError};
use serde_json::Value;
use uuid::Uuid;
use vocabulary::{Clock, Currency, EventId, Money, OrderId, PaymentId, SystemClock, SystemEntropy};

use super::support::{ANN, Shop, body, new_id, shop};

pub async fn consume<P: Payload>(shop: &Shop, payload: &P) -> Result<(), HandlerError> {
    let now = SystemClock.now();
    let meta = EventMeta::new(EventId::mint(now, &SystemEntropy), now);
    let event = Event::of(meta, payload).unwrap();
    let mut tx = outbox::pool::begin(&shop.db.pool).await.unwrap();
    shop.subscriptions().handle(&mut tx, &event).await?;
    tx.commit().await.unwrap();
    Ok(())
}

struct Placed {
    shop: Shop,
    id: String,
    order_id: OrderId,
    payment_id: PaymentId,
    amount: Money,
}

async fn placed() -> Placed {
    let shop = shop(20).await;
    let order = shop
        .place("k1", &body(1, "manual"))
        .await
        .expect(StatusCode::CREATED);
    let order: Value = order.json();
    let uuid = |field: &str| order[field].as_str().unwrap().parse::<Uuid>().unwrap();
    Placed {
        id: uuid("id").to_string(),
        order_id: OrderId::from_uuid(uuid("id")),
        payment_id: PaymentId::from_uuid(uuid("payment_id")),
        amount: Money::new(250, Currency::new("EUR").unwrap()),
        shop,
    }
}

impl Placed {
    fn captured(&self) -> PaymentCaptured {
        PaymentCaptured {
            payment_id: self.payment_id,
            order_id: self.order_id,
            amount: self.amount,
        }
    }

    fn failed(&self) -> PaymentFailed {
        PaymentFailed {
            payment_id: self.payment_id,
            order_id: self.order_id,
            amount: self.amount,
        }
    }

    async fn status(&self) -> String {
        let path = format!("/v1/orders/{}", self.id);
        let order = self.shop.get(&path, &self.shop.tokens.customer(ANN)).await;
        order.json::<Value>()["status"].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn a_captured_payment_makes_a_paid_order_once() {
    let placed = placed().await;
    consume(&placed.shop, &placed.captured()).await.unwrap();
    consume(&placed.shop, &placed.captured()).await.unwrap();
    assert_eq!(placed.status().await, "paid");
    assert_eq!(
        placed.shop.published().await,
        ["order.placed.v1", "order.paid.v1"]
    );
}

#[tokio::test]
async fn a_paid_order_can_still_be_cancelled() {
    let placed = placed().await;
    consume(&placed.shop, &placed.captured()).await.unwrap();
    let ann = placed.shop.tokens.customer(ANN);
    placed
        .shop
        .cancel(&placed.id, &ann)
        .await
        .expect(StatusCode::OK);
    let published = placed.shop.published().await;
    assert_eq!(
        published,
        ["order.placed.v1", "order.paid.v1", "order.cancelled.v1"]
    );
}

#[tokio::test]
async fn a_capture_after_the_cancellation_changes_nothing() {
    let placed = placed().await;
    let ann = placed.shop.tokens.customer(ANN);
    placed
        .shop
        .cancel(&placed.id, &ann)
        .await
        .expect(StatusCode::OK);
    consume(&placed.shop, &placed.captured()).await.unwrap();
    assert_eq!(placed.status().await, "cancelled");
    assert_eq!(
        placed.shop.published().await,
        ["order.placed.v1", "order.cancelled.v1"]
    );
}

#[tokio::test]
async fn a_payment_that_fails_cancels_the_placed_order() {
    let placed = placed().await;
    consume(&placed.shop, &placed.failed()).await.unwrap();
    consume(&placed.shop, &placed.failed()).await.unwrap();
    assert_eq!(placed.status().await, "cancelled");
    assert_eq!(
        placed.shop.published().await,
        ["order.placed.v1", "order.cancelled.v1"]
    );
}

#[tokio::test]
async fn another_orders_payment_is_a_dead_letter() {
    let placed = placed().await;
    let foreign = PaymentCaptured {
        payment_id: PaymentId::from_uuid(new_id()),
        ..placed.captured()
    };
    let refused = consume(&placed.shop, &foreign).await;
    assert!(matches!(refused, Err(HandlerError::Poison(_))));
    assert_eq!(placed.status().await, "placed");
}

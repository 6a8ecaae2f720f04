use axum::http::StatusCode;
use events::{Event, EventMeta, OrderCancelled, OrderPlaced, Payload};
use outbox::Handler;
use uuid::Uuid;
use vocabulary::{
    Clock, Currency, EventId, Money, OrderId, PaymentId, ReservationId, SystemClock, SystemEntropy,
    UserId,
};

use super::support::{ORDER, Shop, USER, new_id, shop};

fn total() -> Money {
    Money::new(500, Currency::new("EUR").unwrap())
}

fn placed(payment: Uuid) -> OrderPlaced {
    OrderPlaced {
        order_id: OrderId::from_uuid(ORDER),
        number: "SF-1".into(),
        user_id: UserId::from_uuid(USER),
        email: "ann@example.com".into(),
        items: vec![],
        total: total(),
        payment_id: PaymentId::from_uuid(payment),
        reservation_id: ReservationId::from_uuid(ORDER),
    }
}

fn cancelled(payment: Uuid) -> OrderCancelled {
    OrderCancelled {
        order_id: OrderId::from_uuid(ORDER),
        number: "SF-1".into(),
        user_id: UserId::from_uuid(USER),
        email: "ann@example.com".into(),
        items: vec![],
        total: total(),
        payment_id: PaymentId::from_uuid(payment),
        reservation_id: ReservationId::from_uuid(ORDER),
    }
}

async fn hear<P: Payload>(shop: &Shop, payload: &P) {
    let now = SystemClock.now();
    let meta = EventMeta::new(EventId::mint(now, &SystemEntropy), now);
    let event = Event::of(meta, payload).unwrap();
    let mut tx = shop.db.pool.begin().await.unwrap();
    shop.listener().handle(&mut tx, &event).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_placed_order_is_captured_once() {
    let shop = shop().await;
    let id = new_id();
    shop.authorise(id, 500, "manual")
        .await
        .expect(StatusCode::OK);
    hear(&shop, &placed(id)).await;
    hear(&shop, &placed(id)).await;
    assert_eq!(shop.state(id).await, "captured");
    assert_eq!(
        shop.said().await,
        ["payment.authorised.v1", "payment.captured.v1"]
    );
}

#[tokio::test]
async fn a_cancelled_order_gets_its_money_back_once() {
    let shop = shop().await;
    let id = new_id();
    shop.authorise(id, 500, "manual")
        .await
        .expect(StatusCode::OK);
    hear(&shop, &placed(id)).await;
    hear(&shop, &cancelled(id)).await;
    hear(&shop, &cancelled(id)).await;
    assert_eq!(shop.state(id).await, "refunded");
    assert_eq!(shop.balance("customer").await, 0);
    assert_eq!(shop.said().await.last().unwrap(), "payment.refunded.v1");
}

#[tokio::test]
async fn a_cancellation_heard_before_the_order_takes_nothing() {
    let shop = shop().await;
    let id = new_id();
    shop.authorise(id, 500, "manual")
        .await
        .expect(StatusCode::OK);
    hear(&shop, &cancelled(id)).await;
    hear(&shop, &placed(id)).await;
    assert_eq!(shop.state(id).await, "voided");
    assert_eq!(shop.balance("captured").await, 0);
    let said = shop.said().await;
    assert_eq!(
        said,
        [
            "payment.authorised.v1",
            "payment.voided.v1",
            "payment.failed.v1"
        ]
    );
}

#[tokio::test]
async fn a_cancellation_heard_before_the_promise_prevents_it() {
    let shop = shop().await;
    let id = new_id();
    hear(&shop, &cancelled(id)).await;
    shop.authorise(id, 500, "manual")
        .await
        .expect(StatusCode::CONFLICT);
    assert_eq!(shop.state(id).await, "cancelled");
}

#[tokio::test]
async fn a_refused_capture_hands_the_promise_back_and_tells_the_order() {
    let shop = shop().await;
    let id = new_id();
    shop.authorise(id, 500, "manual-capture-decline")
        .await
        .expect(StatusCode::OK);
    hear(&shop, &placed(id)).await;
    assert_eq!(shop.state(id).await, "voided");
    assert_eq!(shop.balance("authorised").await, 0);
    let said = shop.said().await;
    assert_eq!(
        said,
        [
            "payment.authorised.v1",
            "payment.voided.v1",
            "payment.failed.v1"
        ]
    );
}

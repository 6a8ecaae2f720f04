use axum::http::StatusCode;
use events::{Event, EventMeta, OrderCancelled, OrderPlaced, Payload};
use outbox::Handler;
use testkit::provider::Behaviour;
use uuid::Uuid;
use vocabulary::{
    Clock, Currency, EventId, Money, OrderId, PaymentId, ReservationId, SystemClock, SystemEntropy,
    UserId,
};

use super::double::METHOD;
use super::support::{ORDER, Shop, USER, new_id, shop};

fn total() -> Money {
    Money::new(500, Currency::new("EUR").unwrap())
}

pub fn placed(payment: Uuid) -> OrderPlaced {
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

pub fn cancelled(payment: Uuid) -> OrderCancelled {
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

pub async fn consume<P: Payload>(shop: &Shop, payload: &P) {
    let now = SystemClock.now();
    let meta = EventMeta::new(EventId::mint(now, &SystemEntropy), now);
    let event = Event::of(meta, payload).unwrap();
    let mut tx = outbox::pool::begin(&shop.db.pool).await.unwrap();
    payment::consume::subscriptions(shop.app.clone())
        .handle(&mut tx, &event)
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_placed_order_is_captured_once() {
    let shop = shop().await;
    let id = new_id();
    shop.authorise(id, 500, "manual")
        .await
        .expect(StatusCode::OK);
    consume(&shop, &placed(id)).await;
    consume(&shop, &placed(id)).await;
    assert_eq!(shop.state(id).await, "captured");
    assert_eq!(shop.published().await, ["payment.captured.v1"]);
}

#[tokio::test]
async fn a_cancelled_order_gets_its_money_back_once() {
    let shop = shop().await;
    let id = new_id();
    shop.authorise(id, 500, "manual")
        .await
        .expect(StatusCode::OK);
    consume(&shop, &placed(id)).await;
    consume(&shop, &cancelled(id)).await;
    consume(&shop, &cancelled(id)).await;
    assert_eq!(shop.state(id).await, "refunded");
    assert_eq!(shop.balance("customer").await, 0);
    assert_eq!(
        shop.published().await.last().unwrap(),
        "payment.refunded.v1"
    );
}

#[tokio::test]
async fn a_cancellation_consumed_before_the_order_takes_nothing() {
    let shop = shop().await;
    let id = new_id();
    shop.authorise(id, 500, "manual")
        .await
        .expect(StatusCode::OK);
    consume(&shop, &cancelled(id)).await;
    consume(&shop, &placed(id)).await;
    assert_eq!(shop.state(id).await, "voided");
    assert_eq!(shop.balance("captured").await, 0);
    let published = shop.published().await;
    assert_eq!(published, ["payment.voided.v1", "payment.failed.v1"]);
}

#[tokio::test]
async fn a_cancellation_consumed_before_the_authorisation_prevents_it() {
    let shop = shop().await;
    let id = new_id();
    consume(&shop, &cancelled(id)).await;
    shop.authorise(id, 500, "manual")
        .await
        .expect(StatusCode::CONFLICT);
    assert_eq!(shop.state(id).await, "cancelled");
}

/// What the consumer commits is the intent; the provider is asked by the worker, which that commit wakes.
#[tokio::test]
async fn a_capture_over_the_network_is_an_intent_until_the_worker_has_asked() {
    let shop = shop().await;
    let id = new_id();
    shop.authorise(id, 500, METHOD).await.expect(StatusCode::OK);
    consume(&shop, &placed(id)).await;
    assert_eq!(shop.state(id).await, "authorised");
    assert_eq!(
        (
            shop.open().await,
            shop.provider.account(&id.to_string()).captures
        ),
        (1, 0)
    );
    let _worker = shop.worker();
    shop.reaches(id, "captured").await;
    assert_eq!(shop.provider.account(&id.to_string()).captured, 500);
    let published = shop.published().await;
    assert_eq!(published, ["payment.authorised.v1", "payment.captured.v1"]);
}

#[tokio::test]
async fn the_commit_of_an_intent_wakes_the_worker() {
    let shop = shop().await;
    let ids = [new_id(), new_id()];
    for id in ids {
        shop.authorise(id, 500, METHOD).await.expect(StatusCode::OK);
    }
    // It would look by itself in an hour.
    let _worker = shop.worker_with(std::time::Duration::from_secs(3600));
    consume(&shop, &placed(ids[0])).await;
    shop.reaches(ids[0], "captured").await;
    consume(&shop, &placed(ids[1])).await;
    shop.reaches(ids[1], "captured").await;
}

#[tokio::test]
async fn a_refused_capture_voids_the_authorisation_and_tells_the_order() {
    let shop = shop().await;
    let id = new_id();
    shop.authorise(id, 500, METHOD).await.expect(StatusCode::OK);
    shop.provider
        .script("capture", [Behaviour::Declines("insufficient_funds")]);
    consume(&shop, &placed(id)).await;
    let _worker = shop.worker();
    shop.reaches(id, "voided").await;
    // The order cancels itself, and that changes nothing more.
    consume(&shop, &cancelled(id)).await;
    assert_eq!(
        (shop.open().await, shop.balance("authorised").await),
        (0, 0)
    );
    assert_eq!(shop.provider.account(&id.to_string()).held, 0);
    let published = shop.published().await;
    assert_eq!(
        published,
        [
            "payment.authorised.v1",
            "payment.failed.v1",
            "payment.voided.v1"
        ]
    );
}

#[tokio::test]
async fn a_cancellation_while_the_capture_is_on_its_way_returns_the_money() {
    let shop = shop().await;
    let id = new_id();
    shop.authorise(id, 500, METHOD).await.expect(StatusCode::OK);
    consume(&shop, &placed(id)).await;
    consume(&shop, &cancelled(id)).await;
    let _worker = shop.worker();
    shop.reaches(id, "refunded").await;
    let account = shop.provider.account(&id.to_string());
    assert_eq!((account.captured, account.refunded), (500, 500));
    assert_eq!(shop.balance("customer").await, 0);
}

/// With `manual` nothing is left to a worker: it runs nowhere in this test.
#[tokio::test]
async fn manual_is_captured_voided_and_refunded_in_the_commit_of_the_event() {
    let shop = shop().await;
    let id = new_id();
    shop.authorise(id, 500, "manual")
        .await
        .expect(StatusCode::OK);
    assert_eq!(shop.open().await, 0);
    consume(&shop, &placed(id)).await;
    assert_eq!(
        (shop.state(id).await.as_str(), shop.open().await),
        ("captured", 0)
    );
    consume(&shop, &cancelled(id)).await;
    assert_eq!(
        (shop.state(id).await.as_str(), shop.open().await),
        ("refunded", 0)
    );
}

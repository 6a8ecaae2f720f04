//! Orders that await their payment: the provider or the customer acts after the request has been answered.

use axum::http::StatusCode;
use chrono::TimeDelta;
use contracts::payments::PaymentStatus;
use events::{PaymentAuthorised, PaymentCaptured, PaymentFailed};
use order::checkout::resume::{count, resume_some};
use outbox::HandlerError;
use serde_json::{Value, json};
use vocabulary::{Currency, Money, OrderId, PaymentId};

use super::events::consume;
use super::fakes::Fault;
use super::support::{ANN, HOLD, Shop, body, new_id, shop};

struct Awaiting {
    shop: Shop,
    /// What the client got.
    response: Value,
    id: String,
}

async fn awaiting(method: &str) -> Awaiting {
    let shop = shop(5).await;
    let answer = shop.place("k1", &body(2, method)).await;
    let response: Value = answer.expect(StatusCode::CREATED).json();
    let id = response["id"].as_str().unwrap().to_owned();
    Awaiting { shop, response, id }
}

impl Awaiting {
    async fn order(&self) -> Value {
        let path = format!("/v1/orders/{}", self.id);
        let ann = self.shop.tokens.customer(ANN);
        self.shop
            .get(&path, &ann)
            .await
            .expect(StatusCode::OK)
            .json()
    }

    fn order_id(&self) -> OrderId {
        self.id.parse().unwrap()
    }

    fn payment_id(&self) -> PaymentId {
        self.response["payment_id"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap()
    }

    fn authorised(&self) -> PaymentAuthorised {
        PaymentAuthorised {
            payment_id: self.payment_id(),
            order_id: self.order_id(),
            amount: Money::new(500, Currency::new("EUR").unwrap()),
        }
    }

    fn failed(&self) -> PaymentFailed {
        PaymentFailed {
            payment_id: self.payment_id(),
            order_id: self.order_id(),
            amount: Money::new(500, Currency::new("EUR").unwrap()),
        }
    }

    fn decide(&self, status: PaymentStatus) {
        self.shop.fakes.world().payment.decide(status);
    }

    async fn resume(&self) -> u64 {
        resume_some(&self.shop.app).await.unwrap()
    }
}

#[tokio::test]
async fn a_payment_that_needs_the_customer_makes_an_order_that_says_where_to_go() {
    let order = awaiting("card").await;
    let action = json!({
        "type": "redirect", "url": format!("https://pay.test/{}", order.payment_id().as_uuid()),
    });
    for view in [&order.response, &order.order().await] {
        assert_eq!(view["status"], "awaiting_payment");
        assert_eq!(view["next_action"], action);
        assert_eq!(view["number"], "SF-100001");
        assert_eq!(view["history"][0]["status"], "awaiting_payment");
        assert!(view["_links"]["cancel"]["href"].is_string());
    }
    let ann = order.shop.tokens.customer(ANN);
    let list: Value = order.shop.get("/v1/orders", &ann).await.json();
    assert_eq!(list["items"][0]["status"], "awaiting_payment");
    // The stock is reserved, and no other service learns of an order.
    assert_eq!(order.shop.mugs(), 3);
    assert!(order.shop.published().await.is_empty());
    let again = order.shop.place("k1", &body(2, "card")).await;
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(again.json::<Value>(), order.response);
    count(&order.shop.app).await.unwrap();
    let metrics = &order.shop.app.metrics;
    assert_eq!(
        (
            metrics.open.get(),
            metrics.awaiting_payment.get(),
            metrics.oldest_open.get()
        ),
        (0, 1, 0)
    );
}

#[tokio::test]
async fn an_authorised_payment_places_the_order_that_awaited_it() {
    let order = awaiting("card").await;
    order.decide(PaymentStatus::Authorised);
    // No time passes: the event makes the checkout due.
    assert_eq!(order.resume().await, 0);
    consume(&order.shop, &order.authorised()).await.unwrap();
    assert_eq!(order.resume().await, 1);
    let placed = order.order().await;
    assert_eq!(placed["status"], "placed");
    assert_eq!(placed["next_action"], Value::Null);
    assert_eq!(placed["number"], order.response["number"]);
    assert_eq!(placed["placed_at"], order.response["placed_at"]);
    let history = placed["history"].as_array().unwrap();
    let history: Vec<&Value> = history
        .iter()
        .map(|milestone| &milestone["status"])
        .collect();
    assert_eq!(history, ["awaiting_payment", "placed"]);
    assert_eq!(order.shop.published().await, ["order.placed.v1"]);
    order.shop.check_books().await;
    // The event may come again.
    consume(&order.shop, &order.authorised()).await.unwrap();
    assert_eq!(order.resume().await, 0);
    // The first response is replayed, although the order has moved on.
    let again = order.shop.place("k1", &body(2, "card")).await;
    assert_eq!(again.json::<Value>(), order.response);
}

#[tokio::test]
async fn an_event_that_is_lost_only_delays_the_order() {
    let order = awaiting("card").await;
    order.decide(PaymentStatus::Authorised);
    order.shop.clock.advance(TimeDelta::seconds(1));
    assert_eq!(order.resume().await, 1);
    assert_eq!(order.order().await["status"], "placed");
    order.shop.check_books().await;
}

#[tokio::test]
async fn a_payment_that_fails_cancels_the_order_and_returns_the_stock() {
    let order = awaiting("card").await;
    order.decide(PaymentStatus::Declined);
    consume(&order.shop, &order.failed()).await.unwrap();
    assert_eq!(order.resume().await, 1);
    assert_eq!(order.order().await["status"], "cancelled");
    assert_eq!(order.shop.published().await, ["order.cancelled.v1"]);
    assert_eq!(order.shop.mugs(), 5);
    order.shop.check_books().await;
}

#[tokio::test]
async fn an_order_that_is_not_paid_while_its_stock_is_reserved_is_cancelled() {
    let order = awaiting("card").await;
    order.shop.clock.advance(HOLD - TimeDelta::seconds(1));
    assert_eq!(order.resume().await, 1);
    assert_eq!(order.order().await["status"], "awaiting_payment");
    order.shop.clock.advance(TimeDelta::seconds(30));
    assert_eq!(order.resume().await, 1);
    assert_eq!(order.order().await["status"], "cancelled");
    assert_eq!(order.shop.mugs(), 5);
    order.shop.check_books().await;
}

#[tokio::test]
async fn a_payment_service_that_stays_unavailable_does_not_hold_the_stock_for_longer() {
    let order = awaiting("card").await;
    order.shop.fakes.fail("authorise", &[Fault::Refuse; 40]);
    order.shop.resume().await;
    assert_eq!(order.order().await["status"], "cancelled");
    order.shop.check_books().await;
}

#[tokio::test]
async fn the_action_of_a_payment_that_was_only_requested_is_shown_once_it_is_known() {
    let order = awaiting("slow-bank").await;
    assert_eq!(order.response["next_action"], Value::Null);
    order.decide(PaymentStatus::RequiresAction);
    order.shop.clock.advance(TimeDelta::seconds(1));
    assert_eq!(order.resume().await, 1);
    let view = order.order().await;
    assert_eq!(view["status"], "awaiting_payment");
    assert_eq!(view["next_action"]["type"], "redirect");
}

#[tokio::test]
async fn the_owner_cancels_an_order_that_awaits_its_payment() {
    let order = awaiting("card").await;
    let bob = order.shop.tokens.customer(new_id());
    let foreign = order.shop.cancel(&order.id, &bob).await;
    foreign.expect(StatusCode::NOT_FOUND);
    assert_eq!(order.order().await["status"], "awaiting_payment");
    let ann = order.shop.tokens.customer(ANN);
    for _ in 0..2 {
        let cancelled = order.shop.cancel(&order.id, &ann).await;
        let cancelled: Value = cancelled.expect(StatusCode::OK).json();
        assert_eq!(cancelled["status"], "cancelled");
        assert_eq!(cancelled["next_action"], Value::Null);
    }
    assert_eq!(order.shop.published().await, ["order.cancelled.v1"]);
    order.shop.resume().await;
    assert_eq!(order.shop.mugs(), 5);
    order.shop.check_books().await;
    // An authorisation that is too late changes nothing.
    consume(&order.shop, &order.authorised()).await.unwrap();
    assert_eq!(order.resume().await, 0);
}

#[tokio::test]
async fn an_order_that_is_cancelled_during_its_claim_is_restocked() {
    let order = awaiting("card").await;
    order.decide(PaymentStatus::Authorised);
    order.shop.fakes.fail("claim", &[Fault::DoneThenSilent]);
    order.shop.clock.advance(TimeDelta::seconds(1));
    // The claim happened; its answer is on the way for longer than a call may take.
    let driving = order.resume();
    let cancelling = async {
        order.shop.fakes.swallowed.notified().await;
        let ann = order.shop.tokens.customer(ANN);
        order.shop.cancel(&order.id, &ann).await
    };
    let (_, cancelled) = tokio::join!(driving, cancelling);
    cancelled.expect(StatusCode::OK);
    order.shop.resume().await;
    assert_eq!(order.order().await["status"], "cancelled");
    assert_eq!(order.shop.mugs(), 5);
    order.shop.check_books().await;
}

#[tokio::test]
async fn an_event_about_another_payment_makes_nothing_due() {
    let order = awaiting("card").await;
    let foreign = PaymentAuthorised {
        payment_id: PaymentId::from_uuid(new_id()),
        ..order.authorised()
    };
    consume(&order.shop, &foreign).await.unwrap();
    assert_eq!(order.resume().await, 0);
}

#[tokio::test]
async fn a_capture_that_overtakes_the_placing_is_retried_until_the_order_is_placed() {
    let order = awaiting("card").await;
    let captured = PaymentCaptured {
        payment_id: order.payment_id(),
        order_id: order.order_id(),
        amount: order.authorised().amount,
    };
    let early = consume(&order.shop, &captured).await;
    assert!(matches!(early, Err(HandlerError::Transient(_))));
    order.decide(PaymentStatus::Authorised);
    consume(&order.shop, &order.authorised()).await.unwrap();
    assert_eq!(order.resume().await, 1);
    consume(&order.shop, &captured).await.unwrap();
    assert_eq!(order.order().await["status"], "paid");
}

#[tokio::test]
async fn a_payment_that_fails_before_there_is_an_order_changes_nothing() {
    let shop = shop(5).await;
    let declined = shop.place("k1", &body(2, "bad-card")).await;
    declined.expect(StatusCode::PAYMENT_REQUIRED);
    let (order_id, payment_id): (OrderId, PaymentId) =
        sqlx::query_as("select checkout_id, payment_id from orders.checkouts")
            .fetch_one(&shop.db.pool)
            .await
            .unwrap();
    let failed = PaymentFailed {
        payment_id,
        order_id,
        amount: Money::new(500, Currency::new("EUR").unwrap()),
    };
    consume(&shop, &failed).await.unwrap();
    assert!(shop.published().await.is_empty());
    shop.check_books().await;
}

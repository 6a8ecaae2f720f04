use axum::http::StatusCode;
use chrono::TimeDelta;
use serde_json::{Value, json};
use uuid::Uuid;

use super::fakes::Fault;
use super::support::{ANN, Shop, body, shop};

#[tokio::test]
async fn an_order_is_placed_with_its_stock_and_its_payment() {
    let shop = shop(20).await;
    let answer = shop
        .place("k1", &body(2, "manual"))
        .await
        .expect(StatusCode::CREATED);
    let order: Value = answer.json();
    let id = order["id"].as_str().unwrap();
    assert_eq!(answer.header("location"), format!("/v1/orders/{id}"));
    assert_eq!(order["status"], "placed");
    assert_eq!(order["number"], "SF-100001");
    assert_eq!(order["total"], json!({"minor": 500, "currency": "EUR"}));
    assert_eq!(order["items"][0]["line_total"]["minor"], 500);
    assert_eq!(order["address"]["city"], "Berlin");
    assert_eq!(order["history"][0]["status"], "placed");
    assert_eq!(
        order["_links"]["cancel"]["href"],
        format!("/v1/orders/{id}/cancel")
    );
    assert_eq!(shop.mugs(), 18);
    assert_eq!(shop.published().await, ["order.placed.v1"]);
    shop.check_books().await;
}

#[tokio::test]
async fn the_same_key_gets_the_same_answer_byte_for_byte() {
    let shop = shop(20).await;
    let first = shop
        .place("k1", &body(2, "manual"))
        .await
        .expect(StatusCode::CREATED);
    let again = shop
        .place("k1", &body(2, "manual"))
        .await
        .expect(StatusCode::CREATED);
    assert_eq!(first.body, again.body);
    assert_eq!(first.header("location"), again.header("location"));
    assert_eq!(again.header("idempotent-replayed"), "true");
    let refused = shop
        .place("k2", &body(21, "manual"))
        .await
        .expect(StatusCode::CONFLICT);
    let again = shop
        .place("k2", &body(21, "manual"))
        .await
        .expect(StatusCode::CONFLICT);
    assert_eq!(refused.body, again.body);
    assert_eq!(again.header("content-type"), "application/problem+json");
    shop.check_books().await;
}

#[tokio::test]
async fn a_key_is_needed_and_stands_for_one_order_only() {
    let shop = shop(20).await;
    let missing = testkit::post("/v1/orders")
        .bearer(&shop.tokens.customer(Uuid::from_u128(1)))
        .json(&body(1, "manual"))
        .send(&shop.router)
        .await;
    assert_eq!(
        missing.expect(StatusCode::BAD_REQUEST).code(),
        "idempotency_key_required"
    );
    shop.place("k1", &body(1, "manual"))
        .await
        .expect(StatusCode::CREATED);
    let other = shop.place("k1", &body(2, "manual")).await;
    assert_eq!(
        other.expect(StatusCode::UNPROCESSABLE_ENTITY).code(),
        "idempotency_key_reused"
    );
    // Another shopper's key is another key.
    let other = testkit::post("/v1/orders")
        .bearer(&shop.tokens.customer(Uuid::from_u128(2)))
        .header("idempotency-key", "k1")
        .json(&body(2, "manual"))
        .send(&shop.router)
        .await;
    other.expect(StatusCode::CREATED);
    let nobody = testkit::post("/v1/orders")
        .json(&body(1, "manual"))
        .send(&shop.router)
        .await;
    nobody.expect(StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn bad_fields_are_named_and_nothing_begins() {
    let shop = shop(20).await;
    let mut bad = body(0, "manual");
    bad["address"]["country"] = json!("Germany");
    let answer = shop
        .place("k1", &bad)
        .await
        .expect(StatusCode::UNPROCESSABLE_ENTITY);
    let errors = answer.json::<Value>()["errors"].clone();
    assert_eq!(errors[0]["field"], "items[0].quantity");
    assert_eq!(errors[1]["field"], "address.country");
    let mut extra = body(1, "manual");
    extra["card_number"] = json!("4242424242424242");
    shop.place("k1", &extra)
        .await
        .expect(StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(shop.count("orders.checkouts").await, 0);
    // The key was not spent.
    shop.place("k1", &body(1, "manual"))
        .await
        .expect(StatusCode::CREATED);
}

#[tokio::test]
async fn what_is_out_of_stock_is_named_with_what_is_available() {
    let shop = shop(3).await;
    let answer = shop
        .place("k1", &body(4, "manual"))
        .await
        .expect(StatusCode::CONFLICT);
    assert_eq!(answer.code(), "out_of_stock");
    let error = answer.json::<Value>()["errors"][0].clone();
    assert_eq!(
        (&error["field"], &error["available"]),
        (&json!("items[0]"), &json!(3))
    );
    shop.check_books().await;
    assert_eq!(
        shop.count("orders.checkouts where stage = 'failed'").await,
        1
    );
}

#[tokio::test]
async fn refusals_leave_nothing_behind() {
    let shop = shop(20).await;
    let declined = shop.place("k1", &body(1, "bad-card")).await;
    assert_eq!(
        declined.expect(StatusCode::PAYMENT_REQUIRED).code(),
        "payment_declined"
    );
    let unknown = shop.place("k2", &body(1, "gold")).await;
    assert_eq!(
        unknown.expect(StatusCode::UNPROCESSABLE_ENTITY).code(),
        "payment_method_unknown"
    );
    let mut unknown_product = body(1, "manual");
    unknown_product["items"][0]["product_id"] = json!(Uuid::from_u128(77));
    let unknown_product = shop
        .place("k3", &unknown_product)
        .await
        .expect(StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(unknown_product.code(), "item_refused");
    shop.fakes.world().no_users = true;
    let forgotten = shop
        .place("k4", &body(1, "manual"))
        .await
        .expect(StatusCode::CONFLICT);
    assert_eq!(forgotten.code(), "customer_unknown");
    shop.fakes.world().no_users = false;
    shop.fakes.world().product.holds_expire = true;
    let late = shop
        .place("k5", &body(1, "manual"))
        .await
        .expect(StatusCode::CONFLICT);
    assert_eq!(late.code(), "reservation_expired");
    shop.check_books().await;
    assert_eq!(shop.mugs(), 20);
    assert_eq!(shop.count("orders.orders").await, 0);
}

#[tokio::test]
async fn an_unavailable_service_is_503_and_the_same_key_goes_on() {
    for (call, fault) in [
        ("email", Fault::Refuse),
        ("reserve", Fault::DoneThen500),
        ("authorise", Fault::DoneThenCut),
        ("claim", Fault::DoneThenSilent),
    ] {
        let shop = shop(20).await;
        shop.fakes.fail(call, &[fault]);
        let unavailable = shop.place("k1", &body(1, "manual")).await;
        let unavailable = unavailable.expect(StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(unavailable.header("retry-after"), "1");
        // Too early: the pause is not over.
        let early = shop
            .place("k1", &body(1, "manual"))
            .await
            .expect(StatusCode::CONFLICT);
        assert_eq!(early.code(), "idempotency_in_flight");
        shop.clock.advance(TimeDelta::seconds(1));
        shop.place("k1", &body(1, "manual"))
            .await
            .expect(StatusCode::CREATED);
        assert_eq!(shop.mugs(), 19);
        shop.check_books().await;
    }
}

#[tokio::test]
async fn an_order_is_never_500_while_its_database_is_away_or_replaced() {
    let mut shop = shop(20).await;
    // The pool of a service, which does not ask before each statement whether its connection still lives.
    shop.app.core.pool = outbox::pool::connect(&shop.db.url, 2, "order").unwrap();
    shop.router = testkit::conforming(order::router(shop.app.clone()), &order::openapi());
    let token = shop.tokens.customer(ANN);
    shop.get("/v1/orders", &token).await.expect(StatusCode::OK);
    shop.db.cut_connections().await;
    refused(&shop, "k1").await;
    // An empty database has taken its place, and is not migrated yet.
    let rename = |sql: &'static str| sqlx::query(sql).execute(&shop.db.pool);
    rename("alter schema orders rename to lost").await.unwrap();
    refused(&shop, "k2").await;
    rename("alter schema lost rename to orders").await.unwrap();
    for key in ["k1", "k2"] {
        let placed = shop.place(key, &body(1, "manual")).await;
        placed.expect(StatusCode::CREATED);
    }
    shop.check_books().await;
}

async fn refused(shop: &Shop, key: &str) {
    let answer = shop.place(key, &body(1, "manual")).await;
    let answer = answer.expect(StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.code(), "unavailable");
    assert_eq!(answer.header("retry-after"), "1");
}

#[tokio::test]
async fn a_key_whose_request_crashed_long_ago_leads_to_its_own_checkout() {
    let shop = shop(20).await;
    shop.fakes.fail("claim", &[Fault::DoneThen500]);
    let unavailable = shop.place("k1", &body(1, "manual")).await;
    unavailable.expect(StatusCode::SERVICE_UNAVAILABLE);
    // By now the idempotency key may be taken over: that must not start a second checkout.
    shop.clock.advance(TimeDelta::seconds(61));
    shop.place("k1", &body(1, "manual"))
        .await
        .expect(StatusCode::CREATED);
    assert_eq!(shop.count("orders.checkouts").await, 1);
    shop.check_books().await;
}

#[tokio::test]
async fn a_checkout_that_cannot_be_decoded_does_not_hold_up_the_others() {
    let shop = shop(20).await;
    shop.fakes.fail("claim", &[Fault::Refuse, Fault::Refuse]);
    for key in ["k1", "k2"] {
        let unavailable = shop.place(key, &body(1, "manual")).await;
        unavailable.expect(StatusCode::SERVICE_UNAVAILABLE);
    }
    sqlx::query("update orders.checkouts set request = '{}' where idempotency_key = 'k1'")
        .execute(&shop.db.pool)
        .await
        .unwrap();
    shop.clock.advance(TimeDelta::seconds(60));
    order::checkout::resume::resume_some(&shop.app)
        .await
        .unwrap();
    shop.place("k2", &body(1, "manual"))
        .await
        .expect(StatusCode::CREATED);
    assert_eq!(shop.open().await, 1);
}

#[tokio::test]
async fn a_request_in_flight_is_not_doubled() {
    let shop = shop(20).await;
    shop.fakes.fail("authorise", &[Fault::DoneThenSilent]);
    let body = body(1, "manual");
    let first = shop.place("k1", &body);
    let second = async {
        shop.fakes.swallowed.notified().await;
        shop.place("k1", &body).await
    };
    let (first, second) = tokio::join!(first, second);
    first.expect(StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        second.expect(StatusCode::CONFLICT).code(),
        "idempotency_in_flight"
    );
    shop.resume().await;
    shop.check_books().await;
    assert_eq!(shop.count("orders.orders").await, 1);
    // The periodic job placed it, and the client learns of it.
    shop.place("k1", &body).await.expect(StatusCode::CREATED);
}

#[tokio::test]
async fn the_same_key_sixteen_times_at_once_is_one_order() {
    let shop = shop(20).await;
    let body = body(1, "manual");
    let calls = (0..16).map(|_| shop.place("k1", &body));
    let answers = futures::future::join_all(calls).await;
    let created = answers
        .iter()
        .filter(|a| a.status == StatusCode::CREATED)
        .count();
    assert!(created >= 1);
    assert!(
        answers
            .iter()
            .all(|a| matches!(a.status, StatusCode::CREATED | StatusCode::CONFLICT))
    );
    assert_eq!(shop.count("orders.checkouts").await, 1);
    assert_eq!(shop.count("orders.orders").await, 1);
    shop.check_books().await;
}

#[tokio::test]
async fn a_service_that_stays_unavailable_ends_the_checkout_with_nothing_held() {
    let shop = shop(20).await;
    shop.fakes.fail("authorise", &[Fault::DoneThen500; 9]);
    shop.place("k1", &body(1, "manual"))
        .await
        .expect(StatusCode::SERVICE_UNAVAILABLE);
    shop.resume().await;
    shop.check_books().await;
    assert_eq!(shop.count("orders.orders").await, 0);
    let answer = shop
        .place("k1", &body(1, "manual"))
        .await
        .expect(StatusCode::CONFLICT);
    assert_eq!(answer.code(), "checkout_abandoned");
}

#[tokio::test]
async fn undoing_outlasts_an_unavailable_service() {
    let shop = shop(20).await;
    shop.fakes.fail("release", &[Fault::Refuse; 12]);
    // The client gets its response at once; the stock is released when product is available again.
    let declined = shop.place("k1", &body(1, "bad-card")).await;
    declined.expect(StatusCode::PAYMENT_REQUIRED);
    assert_eq!(shop.open().await, 1);
    shop.resume().await;
    shop.check_books().await;
    assert_eq!(shop.mugs(), 20);
}

#[tokio::test]
async fn sixty_four_customers_and_twenty_mugs_make_twenty_orders() {
    let shop = shop(20).await;
    let body = body(1, "manual");
    let keys: Vec<String> = (0..64).map(|n| format!("k{n}")).collect();
    let calls = keys.iter().map(|key| shop.place(key, &body));
    let answers = futures::future::join_all(calls).await;
    let created = answers
        .iter()
        .filter(|a| a.status == StatusCode::CREATED)
        .count();
    assert_eq!(created, 20);
    assert!(
        answers
            .iter()
            .all(|a| a.status == StatusCode::CREATED || a.code() == "out_of_stock")
    );
    shop.check_books().await;
}

//! `stock.low.v1`: once whenever the available quantity of a product falls to the threshold.

use axum::http::StatusCode;
use futures::future::join_all;
use outbox::Relay;
use product::SCHEMA;
use product::domain::stock::LOW_STOCK;
use serde_json::{Value, json};
use testkit::{eventually, put};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::{TestApp, start};

fn hold(n: u128) -> Uuid {
    Uuid::from_u128(0x500 + n)
}

async fn reserve(app: &TestApp, n: u128, items: &[(Uuid, u32)]) {
    app.reserve(hold(n), items).await.expect(StatusCode::OK);
}

async fn count(app: &TestApp, product: Uuid, on_hand: i64) {
    let call = put(&format!("/v1/products/{product}/stock")).bearer(&app.admin());
    let call = call.json(&json!({ "on_hand": on_hand }));
    call.send(&app.router).await.expect(StatusCode::OK);
}

/// Product and available quantity of each event, oldest first.
async fn events(app: &TestApp) -> Vec<(String, i64)> {
    let bodies: Vec<Value> = sqlx::query_scalar(
        "select body from product.outbox where type = 'stock.low.v1' order by position",
    )
    .fetch_all(&app.db.pool)
    .await
    .unwrap();
    let low = bodies.iter().map(|body| {
        assert_eq!(body["subject"], body["data"]["product_id"]);
        let sku = body["data"]["sku"].as_str().unwrap();
        (sku.to_owned(), body["data"]["available"].as_i64().unwrap())
    });
    low.collect()
}

#[tokio::test]
async fn a_hold_that_crosses_the_threshold_publishes_once_until_there_is_more_again() {
    let app = start().await;
    let (tea, cup) = (
        app.stocked_product("TEA", LOW_STOCK + 3).await,
        app.stocked_product("CUP", 100).await,
    );
    reserve(&app, 1, &[(tea, 2), (cup, 2)]).await;
    assert_eq!(events(&app).await, []);
    reserve(&app, 2, &[(tea, 2), (cup, 2)]).await;
    let crossed = ("TEA".to_owned(), LOW_STOCK - 1);
    assert_eq!(events(&app).await, std::slice::from_ref(&crossed));
    // Repeated, or lower still: nothing new.
    reserve(&app, 2, &[(tea, 2), (cup, 2)]).await;
    reserve(&app, 3, &[(tea, 1)]).await;
    assert_eq!(events(&app).await.len(), 1);
    assert_eq!(app.state.metrics.low.get(), 1);
    // Given back, and sold out anew: that is another crossing.
    for n in [2, 3] {
        app.release(hold(n)).await.expect(StatusCode::NO_CONTENT);
    }
    reserve(&app, 4, &[(tea, 2)]).await;
    assert_eq!(events(&app).await, [crossed.clone(), crossed]);
    assert_eq!(app.state.metrics.low.get(), 2);
}

#[tokio::test]
async fn a_refused_hold_publishes_nothing() {
    let app = start().await;
    let (tea, cup) = (
        app.stocked_product("TEA", LOW_STOCK + 1).await,
        app.stocked_product("CUP", 1).await,
    );
    let refused = app.reserve(hold(1), &[(tea, 1), (cup, 2)]).await;
    refused.expect(StatusCode::CONFLICT);
    assert_eq!(events(&app).await, []);
}

#[tokio::test]
async fn setting_the_stock_lower_publishes_and_raising_it_does_not() {
    let app = start().await;
    let product = app.stocked_product("LAMP", 50).await;
    count(&app, product, LOW_STOCK).await;
    assert_eq!(events(&app).await, [("LAMP".to_owned(), LOW_STOCK)]);
    count(&app, product, 1).await;
    count(&app, product, 50).await;
    assert_eq!(events(&app).await.len(), 1);
    count(&app, product, 0).await;
    assert_eq!(events(&app).await.len(), 2);
    assert_eq!(app.state.metrics.low.get(), 2);
}

#[tokio::test]
async fn many_buyers_at_once_cross_the_threshold_once() {
    let app = start().await;
    let product = app.stocked_product("RUSH", LOW_STOCK + 20).await;
    let wanted = [(product, 1)];
    let holds = (0..24).map(|n| app.reserve(hold(n), &wanted));
    for answer in join_all(holds).await {
        answer.expect(StatusCode::OK);
    }
    assert_eq!(events(&app).await, [("RUSH".to_owned(), LOW_STOCK)]);
}

#[tokio::test]
async fn the_relay_publishes_it() {
    let app = start().await;
    let nats = testkit::nats().await;
    let bus = bus::nats::connect(&nats.url(), bus::nats::Login::default(), "test", 1)
        .await
        .unwrap();
    let metrics = outbox::Metrics::new(&chassis::Registry::new().unwrap()).unwrap();
    let relay = Relay::new(app.db.pool.clone(), bus, SCHEMA, "product", metrics);
    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(relay.run(stop.clone()));
    let product = app.stocked_product("LAST", LOW_STOCK + 1).await;
    reserve(&app, 1, &[(product, 1)]).await;
    eventually("the event is published", || async {
        let sql = "select count(*) from product.outbox where done_at is not null";
        let done: i64 = sqlx::query_scalar(sql).fetch_one(&app.db.pool).await.ok()?;
        (done == 1).then_some(())
    })
    .await;
    stop.cancel();
    tasks.join_all().await;
}

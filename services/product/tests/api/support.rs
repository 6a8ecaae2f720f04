//! A running service, and what its callers send.

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use chassis::{InternalToken, Registry};
use product::{AppState, Cards, MIGRATOR, Metrics};
use serde_json::{Value, json};
use service::Core;
use testkit::{Answer, FixedClock, Redis, SeededEntropy, TestDb, TestTokens, post, put};
use uuid::Uuid;

pub const INTERNAL: &str = "a-shared-internal-token";

pub struct TestApp {
    pub state: AppState,
    pub router: Router,
    pub clock: Arc<FixedClock>,
    pub tokens: TestTokens,
    pub redis: Redis,
    pub db: TestDb,
}

pub async fn start() -> TestApp {
    let db = testkit::db(&MIGRATOR).await;
    let redis = testkit::redis().await;
    let tokens = TestTokens::new("https://shop.test", "demo");
    let clock = Arc::new(FixedClock::at("2026-11-24T12:00:00Z"));
    let metrics = Metrics::new(&Registry::new().unwrap()).unwrap();
    let state = AppState {
        core: Core {
            pool: db.pool.clone(),
            clock: clock.clone(),
            entropy: Arc::new(SeededEntropy::new(7)),
        },
        verifier: tokens.verifier(),
        internal: InternalToken::new(INTERNAL),
        together: Arc::default(),
        cards: Cards::connect(&redis.url(), None, metrics.clone()).unwrap(),
        metrics,
    };
    let router = testkit::conforming(product::router(state.clone()), &product::openapi());
    TestApp {
        state,
        router,
        clock,
        tokens,
        redis,
        db,
    }
}

impl TestApp {
    pub fn admin(&self) -> String {
        self.tokens.admin(Uuid::from_u128(1))
    }

    pub fn customer(&self) -> String {
        self.tokens.customer(Uuid::from_u128(2))
    }

    /// A product with so many pieces in stock.
    pub async fn stocked_product(&self, sku: &str, on_hand: i64) -> Uuid {
        let body = json!({
            "sku": sku, "title": format!("Thing {sku}"), "category": "things",
            "prices": [{ "minor": 1_000, "currency": "EUR" }]
        });
        let call = post("/v1/products").bearer(&self.admin()).json(&body);
        let made: Value = call
            .send(&self.router)
            .await
            .expect(StatusCode::CREATED)
            .json();
        let id: Uuid = made["id"].as_str().unwrap().parse().unwrap();
        let stock = put(&format!("/v1/products/{id}/stock"));
        let stock = stock
            .bearer(&self.admin())
            .json(&json!({ "on_hand": on_hand }));
        stock.send(&self.router).await.expect(StatusCode::OK);
        id
    }

    pub async fn reserve(&self, id: Uuid, items: &[(Uuid, u32)]) -> Answer {
        let items: Vec<Value> = items
            .iter()
            .map(|(product, quantity)| json!({ "product_id": product, "quantity": quantity }))
            .collect();
        let body = json!({ "items": items, "currency": "EUR", "ttl_secs": 600 });
        let call = put(&format!("/internal/v1/reservations/{id}"));
        call.bearer(INTERNAL).json(&body).send(&self.router).await
    }

    pub async fn claim(&self, id: Uuid, order: Uuid) -> Answer {
        let call = post(&format!("/internal/v1/reservations/{id}/claim")).bearer(INTERNAL);
        call.json(&json!({ "order_id": order }))
            .send(&self.router)
            .await
    }

    pub async fn release(&self, id: Uuid) -> Answer {
        let call = post(&format!("/internal/v1/reservations/{id}/release")).bearer(INTERNAL);
        call.send(&self.router).await
    }

    /// Pieces on hand and reserved, as stored.
    pub async fn stock(&self, product: Uuid) -> (i64, i64) {
        sqlx::query_as("select on_hand, reserved from product.stock where product_id = $1")
            .bind(product)
            .fetch_one(&self.db.pool)
            .await
            .unwrap()
    }
}

use std::sync::Arc;

use axum::Router;
use chassis::{InternalToken, Registry};
use payment::{AppState, Listener, MIGRATOR, Metrics};
use serde_json::{Value, json};
use testkit::{Answer, FixedClock, SeededEntropy, TestDb, TestTokens};
use uuid::Uuid;
use vocabulary::SystemEntropy;

pub const TOKEN: &str = "internal-token-of-the-tests";
pub const ORDER: Uuid = Uuid::from_u128(0x0ade);
pub const USER: Uuid = Uuid::from_u128(0x05e4);

pub struct Shop {
    pub db: TestDb,
    pub router: Router,
    pub tokens: TestTokens,
    pub app: AppState,
}

pub async fn shop() -> Shop {
    let db = testkit::db(&MIGRATOR).await;
    let tokens = TestTokens::default();
    let app = AppState {
        pool: db.pool.clone(),
        clock: Arc::new(FixedClock::default()),
        entropy: Arc::new(SeededEntropy::new(1)),
        verifier: tokens.verifier(),
        internal: InternalToken::new(TOKEN),
        metrics: Metrics::new(&Registry::new().unwrap()).unwrap(),
    };
    Shop {
        router: payment::router(app.clone()),
        db,
        tokens,
        app,
    }
}

pub fn new_id() -> Uuid {
    use vocabulary::{Clock, PaymentId, SystemClock};
    PaymentId::mint(SystemClock.now(), &SystemEntropy).as_uuid()
}

impl Shop {
    pub fn listener(&self) -> Listener {
        Listener::new(self.app.clone())
    }

    pub async fn authorise(&self, id: Uuid, minor: i64, method: &str) -> Answer {
        testkit::put(&format!("/internal/v1/payments/{id}"))
            .bearer(TOKEN)
            .json(&json!({
                "order_id": ORDER, "user_id": USER, "method": method,
                "amount": {"minor": minor, "currency": "EUR"},
            }))
            .send(&self.router)
            .await
    }

    pub async fn operate(&self, id: Uuid, verb: &str, body: Value) -> Answer {
        testkit::post(&format!("/internal/v1/payments/{id}/{verb}"))
            .bearer(TOKEN)
            .json(&body)
            .send(&self.router)
            .await
    }

    pub async fn state(&self, id: Uuid) -> String {
        sqlx::query_scalar("select state from payment.payments where payment_id = $1")
            .bind(id)
            .fetch_one(&self.db.pool)
            .await
            .unwrap()
    }

    /// Types of the events said so far, oldest first.
    pub async fn said(&self) -> Vec<String> {
        sqlx::query_scalar("select type from payment.outbox order by position")
            .fetch_all(&self.db.pool)
            .await
            .unwrap()
    }

    pub async fn balance(&self, account: &str) -> i64 {
        sqlx::query_scalar(
            "select coalesce(sum(minor), 0)::bigint from payment.ledger_entries where account = $1",
        )
        .bind(account)
        .fetch_one(&self.db.pool)
        .await
        .unwrap()
    }
}

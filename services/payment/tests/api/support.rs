use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use chassis::{InternalToken, Registry, Tasks};
use payment::providers::Providers;
use payment::{AppState, MIGRATOR, Metrics, Worker, WorkerOptions};
use serde_json::{Value, json};
use service::Core;
use testkit::provider::PaymentProvider;
use testkit::{Answer, FixedClock, SeededEntropy, TestDb, TestTokens, eventually};
use uuid::Uuid;
use vocabulary::SystemEntropy;

use crate::double::{HttpProvider, METHOD};

pub const TOKEN: &str = "internal-token-of-the-tests";
pub const ORDER: Uuid = Uuid::from_u128(0x0ade);
pub const USER: Uuid = Uuid::from_u128(0x05e4);

pub struct Shop {
    pub db: TestDb,
    pub router: Router,
    pub tokens: TestTokens,
    pub app: AppState,
    pub clock: FixedClock,
    pub registry: Registry,
    pub provider: PaymentProvider,
}

/// A shop that offers `manual`, and `double` over HTTP.
pub async fn shop() -> Shop {
    let clock = FixedClock::default();
    let provider = PaymentProvider::start(Arc::new(clock.clone())).await;
    let offered = Providers::offering(&["manual".to_owned()]).unwrap();
    let providers = offered.with(METHOD, Arc::new(HttpProvider::new(&provider)), true);
    shop_with(clock, provider, providers).await
}

pub async fn shop_with(clock: FixedClock, provider: PaymentProvider, providers: Providers) -> Shop {
    let db = testkit::db(&MIGRATOR).await;
    let tokens = TestTokens::default();
    let registry = Registry::new().unwrap();
    let app = AppState {
        core: Core {
            pool: db.pool.clone(),
            clock: Arc::new(clock.clone()),
            entropy: Arc::new(SeededEntropy::new(1)),
        },
        verifier: tokens.verifier(),
        internal: InternalToken::new(TOKEN),
        providers: Arc::new(providers),
        requests: Arc::default(),
        wake: Arc::default(),
        metrics: Metrics::new(&registry).unwrap(),
    };
    Shop {
        router: testkit::conforming(payment::router(app.clone()), &payment::openapi()),
        db,
        tokens,
        app,
        clock,
        registry,
        provider,
    }
}

pub fn new_id() -> Uuid {
    use vocabulary::{Clock, PaymentId, SystemClock};
    PaymentId::mint(SystemClock.now(), &SystemEntropy).as_uuid()
}

/// A worker that runs until it is dropped, as if it was killed.
pub struct Running(tokio::task::JoinHandle<()>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Shop {
    pub fn worker(&self) -> Running {
        let idle = Duration::from_millis(20);
        self.worker_with(idle)
    }

    pub fn worker_with(&self, idle: Duration) -> Running {
        let worker = Worker::new(self.app.clone(), WorkerOptions { idle });
        let tasks = Tasks::new();
        Running(tasks.spawn("worker", worker.run(tasks.shutdown())))
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

    /// The state of a payment; empty as long as it does not exist.
    pub async fn state(&self, id: Uuid) -> String {
        sqlx::query_scalar("select state from payment.payments where payment_id = $1")
            .bind(id)
            .fetch_optional(&self.db.pool)
            .await
            .unwrap()
            .unwrap_or_default()
    }

    /// Waits until the payment is in a state, while time passes for leases and pauses.
    pub async fn reaches(&self, id: Uuid, state: &str) {
        eventually(&format!("{id} is {state}"), || async {
            self.clock.advance(chrono::TimeDelta::seconds(2));
            (self.state(id).await == state).then_some(())
        })
        .await;
    }

    /// Types of the events published so far, oldest first.
    pub async fn published(&self) -> Vec<String> {
        sqlx::query_scalar("select type from payment.outbox order by position")
            .fetch_all(&self.db.pool)
            .await
            .unwrap()
    }

    /// Operations that are not decided.
    pub async fn open(&self) -> i64 {
        sqlx::query_scalar("select count(*) from payment.operations where state = 'requested'")
            .fetch_one(&self.db.pool)
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

    /// Serves the API on a socket, and lets the provider send its notifications there.
    pub async fn takes_notifications(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!(
            "http://{}/v1/payments/webhooks/{METHOD}",
            listener.local_addr().unwrap()
        );
        let router = self.router.clone();
        let serving = async move { axum::serve(listener, router).await };
        Tasks::new().spawn("api", serving);
        self.provider.notify_to(&url);
        url
    }

    /// The value of a series, such as `shop_payment_incidents_total{kind="void_refused"}`.
    pub fn series(&self, name: &str) -> i64 {
        let text = String::from_utf8(self.registry.render().unwrap()).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.map_or(0, |value| value.trim().parse().unwrap())
    }
}

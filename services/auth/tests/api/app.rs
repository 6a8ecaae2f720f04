//! The service with a database of its own.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use auth::{AppState, FailedLogins, Hasher, Issuer, Limit, MIGRATOR, Metrics, Registrations};
use axum::Router;
use axum::http::StatusCode;
use chassis::{Binding, HttpLimits, HttpMetrics, InternalToken, Registry};
use serde_json::{Value, json};
use service::Core;
use sqlx::PgPool;
use testkit::{Answer, FixedClock, SeededEntropy, TestDb, TestTokens};
use uuid::Uuid;

pub const ISSUER: &str = "http://demo.localhost";
pub const AUDIENCE: &str = "demo";
pub const PASSWORD: &str = "correct horse battery";

pub struct TestApp {
    pub state: AppState,
    pub router: Router,
    pub clock: FixedClock,
    pub keys: TestTokens,
    pub pool: PgPool,
    _db: TestDb,
}

/// So many in a quarter of an hour.
pub const fn within(count: u32) -> Limit {
    Limit {
        count,
        window_secs: 900,
    }
}

/// The service, with room for the registrations of a test.
pub async fn start() -> TestApp {
    limited(Registrations {
        per_client: within(1_000),
        per_network: within(1_000),
        confirms: false,
    })
    .await
}

/// The service of a shop that has addresses confirmed.
pub async fn confirming() -> TestApp {
    limited(Registrations {
        per_client: within(1_000),
        per_network: within(1_000),
        confirms: true,
    })
    .await
}

/// The service with these limits of registrations.
pub async fn limited(registrations: Registrations) -> TestApp {
    let db = testkit::db(&MIGRATOR).await;
    let keys = TestTokens::new(ISSUER, AUDIENCE);
    let binding = Binding::from_entries(
        "signing-keys",
        [
            ("active".to_owned(), keys.kid().to_owned()),
            (format!("{}.pem", keys.kid()), keys.signing_key_pem()),
            (
                "old.pem".to_owned(),
                TestTokens::default().signing_key_pem(),
            ),
        ],
    );
    let registry = Registry::new().unwrap();
    let metrics = Metrics::new(&registry).unwrap();
    let clock = FixedClock::default();
    let state = AppState {
        core: Core {
            pool: db.pool.clone(),
            clock: Arc::new(clock.clone()),
            entropy: Arc::new(SeededEntropy::default()),
        },
        hasher: Hasher::new(2, metrics.clone()).unwrap(),
        failed_logins: FailedLogins {
            per_account: within(20),
            per_client: within(30),
        },
        registrations,
        issuer: Arc::new(Issuer {
            keyring: auth::read_keyring(&binding).unwrap(),
            name: ISSUER.to_owned(),
            audience: AUDIENCE.to_owned(),
        }),
        internal: InternalToken::new("the-internal-token"),
        metrics,
    };
    TestApp {
        router: routed(&state, &registry),
        pool: db.pool.clone(),
        state,
        clock,
        keys,
        _db: db,
    }
}

fn routed(state: &AppState, registry: &Registry) -> Router {
    let metrics = HttpMetrics::new(registry).unwrap();
    let draining = Arc::new(AtomicBool::new(false));
    let router = chassis::layers(
        auth::router(state.clone()),
        HttpLimits::default(),
        metrics,
        draining,
    );
    testkit::conforming(router, &auth::openapi())
}

impl TestApp {
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        testkit::post(path).json(body).send(&self.router).await
    }

    /// Registers and returns the id.
    pub async fn register(&self, username: &str, email: &str) -> Uuid {
        let body = json!({"username": username, "email": email, "password": PASSWORD});
        let answer = self
            .post("/v1/users/register", &body)
            .await
            .expect(StatusCode::CREATED);
        answer.json::<Value>()["id"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap()
    }

    /// Tries to log in.
    pub async fn log_in(&self, email: &str, password: &str) -> Answer {
        self.post(
            "/v1/users/login",
            &json!({"email": email, "password": password}),
        )
        .await
    }

    /// Tries to log in through the gateway, with this `x-forwarded-for`.
    pub async fn log_in_from(&self, forwarded: &str, email: &str, password: &str) -> Answer {
        testkit::post("/v1/users/login")
            .header("x-forwarded-for", forwarded)
            .json(&json!({"email": email, "password": password}))
            .send(&self.router)
            .await
    }

    /// The same from a device with a token of an earlier login.
    pub async fn log_in_with(&self, token: &str, email: &str, password: &str) -> Answer {
        testkit::post("/v1/users/login")
            .header("x-forwarded-for", "203.0.113.9")
            .json(&json!({"email": email, "password": password, "refresh_token": token}))
            .send(&self.router)
            .await
    }

    /// Tries to register through the gateway.
    pub async fn register_from(&self, forwarded: &str, name: &str) -> Answer {
        let email = format!("{name}@example.com");
        testkit::post("/v1/users/register")
            .header("x-forwarded-for", forwarded)
            .json(&json!({"username": name, "email": email, "password": PASSWORD}))
            .send(&self.router)
            .await
    }

    /// Logs in and returns the refresh token.
    pub async fn session(&self, email: &str) -> String {
        let answer = self.log_in(email, PASSWORD).await.expect(StatusCode::OK);
        answer.json::<Value>()["refresh_token"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    pub async fn refresh(&self, token: &str) -> Answer {
        self.post("/v1/auth/refresh", &json!({"refresh_token": token}))
            .await
    }

    pub async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.pool).await.unwrap()
    }
}

/// The body without the request id, which differs between any two answers.
pub fn words(answer: &Answer) -> Value {
    let mut body: Value = answer.json();
    body.as_object_mut().unwrap().remove("request_id");
    body
}

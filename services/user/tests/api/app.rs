//! The service with a database of its own, and a fake auth.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use chassis::{HttpLimits, HttpMetrics, InternalToken, Registry, http_client};
use serde_json::{Value, json};
use service::Core;
use sqlx::PgPool;
use testkit::{Answer, FixedClock, SeededEntropy, TestDb, TestTokens};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use user::{Accounts, AppState, MIGRATOR, Metrics};
use uuid::Uuid;

pub const ANN: Uuid = Uuid::from_u128(0xa11);
pub const BOB: Uuid = Uuid::from_u128(0xb0b);

/// Behaviour of the fake auth.
#[derive(Default)]
pub struct Auth {
    pub asked: AtomicU32,
    pub broken: AtomicBool,
    pub hangs: AtomicBool,
}

pub struct TestApp {
    pub state: AppState,
    pub router: Router,
    pub tokens: TestTokens,
    pub auth: Arc<Auth>,
    pub pool: PgPool,
    _auth: AbortOnDrop,
    _db: TestDb,
}

struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub async fn start() -> TestApp {
    let db = testkit::db(&MIGRATOR).await;
    let tokens = TestTokens::default();
    let auth = Arc::new(Auth::default());
    let (url, served) = serve_auth(Arc::clone(&auth)).await;
    let registry = Registry::new().unwrap();
    let client = http_client(Duration::from_millis(500)).unwrap();
    let internal = InternalToken::new("the-internal-token");
    let state = AppState {
        core: Core {
            pool: db.pool.clone(),
            clock: Arc::new(FixedClock::default()),
            entropy: Arc::new(SeededEntropy::default()),
        },
        accounts: Accounts::new(client, &url, internal.clone()),
        verifier: tokens.verifier(),
        internal,
        metrics: Metrics::new(&registry).unwrap(),
    };
    let metrics = HttpMetrics::new(&registry).unwrap();
    let draining = Arc::new(AtomicBool::new(false));
    let router = chassis::layers(
        user::router(state.clone()),
        HttpLimits::default(),
        metrics,
        draining,
    );
    TestApp {
        router: testkit::conforming(router, &user::openapi()),
        state,
        tokens,
        auth,
        pool: db.pool.clone(),
        _auth: AbortOnDrop(served),
        _db: db,
    }
}

/// A fake auth with the accounts of Ann and Bob.
#[expect(clippy::disallowed_methods, reason = "the test aborts it")]
async fn serve_auth(auth: Arc<Auth>) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new()
        .route("/internal/v1/accounts/{id}", get(account))
        .with_state(auth);
    let served = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (url, served)
}

async fn account(
    State(auth): State<Arc<Auth>>,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
) -> Response {
    auth.asked.fetch_add(1, Ordering::SeqCst);
    if auth.hangs.load(Ordering::SeqCst) {
        std::future::pending::<()>().await;
    }
    if auth.broken.load(Ordering::SeqCst) {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    if headers
        .get("authorization")
        .is_none_or(|token| token != "Bearer the-internal-token")
    {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let username = match id {
        ANN => "ann",
        BOB => "bob",
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    let body = json!({
        "id": id, "username": username, "email": format!("{username}@example.com"),
        "roles": ["customer"], "created_at": "2026-01-31T12:00:00Z",
    });
    axum::Json(body).into_response()
}

pub fn path(id: Uuid) -> String {
    format!("/v1/users/{id}")
}

impl TestApp {
    /// Reads a profile with a token.
    pub async fn get(&self, id: Uuid, token: &str) -> Answer {
        testkit::get(&path(id))
            .bearer(token)
            .send(&self.router)
            .await
    }

    /// Changes a profile with a token.
    pub async fn put(&self, id: Uuid, token: &str, body: &Value) -> Answer {
        testkit::put(&path(id))
            .bearer(token)
            .json(body)
            .send(&self.router)
            .await
    }

    pub fn ann(&self) -> String {
        self.tokens.customer(ANN)
    }

    pub fn asked(&self) -> u32 {
        self.auth.asked.load(Ordering::SeqCst)
    }
}

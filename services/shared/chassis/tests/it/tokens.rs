//! The keys of the issuer, and the token of the shop's own services.

use std::sync::Arc;

use axum::Router;
use axum::extract::FromRef;
use axum::routing::get;
use chassis::{InternalCaller, InternalToken, TokenConfig, verifier};
use http::StatusCode;
use testkit::TestTokens;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

#[derive(Clone)]
struct App {
    internal: InternalToken,
}

impl FromRef<App> for InternalToken {
    fn from_ref(app: &App) -> Self {
        app.internal.clone()
    }
}

fn router() -> Router {
    Router::new()
        .route("/internal", get(|_: InternalCaller| async { "ours" }))
        .with_state(App {
            internal: InternalToken::new("s3cret"),
        })
}

const ME: Uuid = Uuid::from_u128(7);

#[tokio::test]
async fn only_the_shops_own_services_get_in_by_the_internal_token() {
    let tokens = TestTokens::default();
    let router = router();
    testkit::get("/internal")
        .bearer("s3cret")
        .send(&router)
        .await
        .expect(StatusCode::OK);
    for guess in ["s3cre", "s3cret1", "S3CRET", "", &tokens.admin(ME)] {
        let answer = testkit::get("/internal").bearer(guess).send(&router).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{guess}");
    }
    testkit::get("/internal")
        .send(&router)
        .await
        .expect(StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn keys_are_fetched_seldom_and_serve_on_when_the_issuer_is_away() {
    let tokens = TestTokens::default();
    let jwks = tokens.jwks();
    let fetches = Arc::new(std::sync::atomic::AtomicU32::new(0));
    let counted = Arc::clone(&fetches);
    let issuer = Router::new().route(
        "/jwks.json",
        get(move || {
            counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            std::future::ready(axum::Json(jwks.clone()))
        }),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let jwks_url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
    let (tasks, stop) = (chassis::Tasks::new(), CancellationToken::new());
    let limits = chassis::ServeLimits::default();
    tasks.spawn(
        "issuer",
        chassis::serve(listener, issuer, limits, stop.clone()),
    );

    let config = TokenConfig {
        token_issuer: "http://demo.localhost".into(),
        token_audience: "demo".into(),
        jwks_url,
    };
    let client = chassis::http_client(std::time::Duration::from_secs(2)).unwrap();
    let verifier = verifier(&config, client);
    let (good, bad) = (tokens.customer(ME), TestTokens::default().customer(ME));
    for _ in 0..20 {
        assert!(verifier.verify(&good).await.is_ok());
        // Unknown kids lead to one fetch a minute, however many come.
        assert!(verifier.verify(&bad).await.is_err());
    }
    assert_eq!(fetches.load(std::sync::atomic::Ordering::SeqCst), 2);
    stop.cancel();
    tasks.stop().await;
    assert!(verifier.verify(&good).await.is_ok());
}

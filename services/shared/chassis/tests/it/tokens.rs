//! Who is believed.

use std::sync::Arc;

use axum::Router;
use axum::extract::FromRef;
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chassis::{
    Caller, InternalCaller, InternalToken, MaybeCaller, Problem, TokenConfig, Verifier, verifier,
};
use http::StatusCode;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use testkit::TestTokens;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

#[derive(Clone)]
struct App {
    verifier: Arc<Verifier>,
    internal: InternalToken,
}

impl FromRef<App> for Arc<Verifier> {
    fn from_ref(app: &App) -> Self {
        Self::clone(&app.verifier)
    }
}

impl FromRef<App> for InternalToken {
    fn from_ref(app: &App) -> Self {
        app.internal.clone()
    }
}

async fn admin(caller: Caller) -> Result<String, Problem> {
    caller.require_role("admin")?;
    Ok(caller.id().to_string())
}

fn router(verifier: Arc<Verifier>) -> Router {
    let who = |caller: Option<Caller>| async move {
        caller.map_or("nobody".to_owned(), |caller| caller.id().to_string())
    };
    let maybe = |MaybeCaller(caller): MaybeCaller| async move { caller.is_some().to_string() };
    Router::new()
        .route(
            "/me",
            get(|caller: Caller| async move { caller.id().to_string() }),
        )
        .route("/admin", get(admin))
        .route("/who", get(who))
        .route("/maybe", get(maybe))
        .route("/internal", get(|_: InternalCaller| async { "ours" }))
        .with_state(App {
            verifier,
            internal: InternalToken::new("s3cret"),
        })
}

const ME: Uuid = Uuid::from_u128(7);

#[tokio::test]
async fn a_good_token_says_who_is_asking() {
    let tokens = TestTokens::default();
    let router = router(tokens.verifier());
    let token = tokens.customer(ME);
    let call = testkit::get("/me").bearer(&token).send(&router).await;
    assert_eq!(call.expect(StatusCode::OK).text(), ME.to_string());
    let nobody = testkit::get("/who").send(&router).await;
    assert_eq!(nobody.expect(StatusCode::OK).text(), "nobody");
    let call = testkit::get("/maybe").bearer(&token).send(&router).await;
    assert_eq!(call.text(), "true");
    testkit::get("/admin")
        .bearer(&token)
        .send(&router)
        .await
        .expect(StatusCode::FORBIDDEN);
    let token = tokens.admin(ME);
    testkit::get("/admin")
        .bearer(&token)
        .send(&router)
        .await
        .expect(StatusCode::OK);
}

fn forged(tokens: &TestTokens, bend: impl FnOnce(&mut Header)) -> String {
    let good = tokens.customer(ME);
    let claims = good.split('.').nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    let mut header = Header::new(Algorithm::EdDSA);
    header.typ = Some("at+jwt".to_owned());
    header.kid = Some(tokens.kid().to_owned());
    bend(&mut header);
    let key = match header.alg {
        Algorithm::HS256 => EncodingKey::from_secret(tokens.jwks().to_string().as_bytes()),
        _ => tokens.signing_key(),
    };
    jsonwebtoken::encode(&header, &claims, &key).unwrap()
}

/// A token with a header that no library would write.
fn with_raw_header(tokens: &TestTokens, header: &Value) -> String {
    let good = tokens.customer(ME);
    let (_, rest) = good.split_once('.').unwrap();
    format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header.to_string()))
}

#[tokio::test]
async fn forged_tokens_are_refused() {
    let (tokens, stranger) = (TestTokens::default(), TestTokens::default());
    let other_shop = TestTokens::new("http://demo.localhost", "other");
    let (kid, good) = (tokens.kid().to_owned(), tokens.customer(ME));
    let mut bad = vec![
        stranger.customer(ME),
        other_shop.customer(ME),
        tokens.mint_with(ME, &[], |claims| claims.aud = "other".into()),
        tokens.mint_with(ME, &[], |claims| claims.iss = "http://evil.example".into()),
        tokens.mint_with(ME, &[], |claims| claims.exp -= 3_600 + 11),
        tokens.mint_with(ME, &[], |claims| claims.nbf += 60),
        forged(&tokens, |header| header.typ = Some("JWT".into())),
        forged(&tokens, |header| header.typ = None),
        forged(&tokens, |header| header.kid = None),
        forged(&tokens, |header| {
            header.kid = Some("../../etc/passwd".into());
        }),
        forged(&tokens, |header| header.kid = Some("' or 1=1 --".into())),
        forged(&tokens, |header| header.crit = Some(vec!["exp".into()])),
        forged(&tokens, |header| header.alg = Algorithm::HS256),
        good[..good.len() - 4].to_owned(),
        good.rsplit_once('.').unwrap().0.to_owned() + ".",
        good.replace('.', ".."),
        format!("{good}.{good}"),
        "x".repeat(9_000),
        String::new(),
    ];
    for alg in ["none", "None", "nOnE", "HS256", "ES256", "RS256"] {
        let header = json!({"alg": alg, "typ": "at+jwt", "kid": kid});
        bad.push(with_raw_header(&tokens, &header));
    }
    let embedded = json!({"alg": "EdDSA", "typ": "at+jwt", "jwk": stranger.jwks()["keys"][0]});
    bad.push(with_raw_header(&tokens, &embedded));

    let router = router(tokens.verifier());
    testkit::get("/me")
        .bearer(&good)
        .send(&router)
        .await
        .expect(StatusCode::OK);
    for token in bad {
        for path in ["/me", "/who", "/maybe"] {
            let answer = testkit::get(path).bearer(&token).send(&router).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path} {token}");
        }
    }
    let two = testkit::get("/me")
        .bearer(&good)
        .bearer(&good)
        .send(&router)
        .await;
    assert_eq!(two.status, StatusCode::UNAUTHORIZED);
    let basic = testkit::get("/who")
        .header("authorization", "Basic eDp5")
        .send(&router)
        .await;
    assert_eq!(basic.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn only_the_shops_own_services_get_in_by_the_internal_token() {
    let tokens = TestTokens::default();
    let router = router(tokens.verifier());
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

#[tokio::test]
async fn without_any_keys_the_answer_is_503_rather_than_401() {
    let config = TokenConfig {
        token_issuer: "http://demo.localhost".into(),
        token_audience: "demo".into(),
        jwks_url: format!("http://127.0.0.1:{}/jwks.json", testkit::free_port()),
    };
    let client = chassis::http_client(std::time::Duration::from_secs(1)).unwrap();
    let router = router(verifier(&config, client));
    let token = TestTokens::default().customer(ME);
    let answer = testkit::get("/me").bearer(&token).send(&router).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
}

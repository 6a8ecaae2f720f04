//! Which tokens authenticate a caller, and what it may do then.

use std::sync::Arc;

use axum::Router;
use axum::extract::FromRef;
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chassis::{Problem, TokenConfig, verifier};
use http::StatusCode;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use service::Caller;
use testkit::TestTokens;
use tokens::Verifier;
use uuid::Uuid;
use vocabulary::Permission;

#[derive(Clone)]
struct App {
    verifier: Arc<Verifier>,
}

impl FromRef<App> for Arc<Verifier> {
    fn from_ref(app: &App) -> Self {
        Self::clone(&app.verifier)
    }
}

async fn manage_stock(caller: Caller) -> Result<String, Problem> {
    caller.require(Permission::ManageStock)?;
    Ok(caller.id().as_uuid().to_string())
}

fn router(verifier: Arc<Verifier>) -> Router {
    Router::new()
        .route(
            "/me",
            get(|caller: Caller| async move { caller.id().as_uuid().to_string() }),
        )
        .route("/stock", get(manage_stock))
        .with_state(App { verifier })
}

const ME: Uuid = Uuid::from_u128(7);

#[tokio::test]
async fn a_valid_token_authenticates_its_caller_with_its_permissions() {
    let tokens = TestTokens::default();
    let router = router(tokens.verifier());
    let customer = tokens.customer(ME);
    let call = testkit::get("/me").bearer(&customer).send(&router).await;
    assert_eq!(call.expect(StatusCode::OK).text(), ME.to_string());
    let anonymous = testkit::get("/me").send(&router).await;
    assert_eq!(anonymous.status, StatusCode::UNAUTHORIZED);
    let refused = testkit::get("/stock").bearer(&customer).send(&router).await;
    let problem: Value = refused.expect(StatusCode::FORBIDDEN).json();
    assert_eq!(problem["detail"], "Permission stock.manage is required");
    let admin = tokens.admin(ME);
    testkit::get("/stock")
        .bearer(&admin)
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
        let answer = testkit::get("/me").bearer(&token).send(&router).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{token}");
    }
    let two = testkit::get("/me")
        .bearer(&good)
        .bearer(&good)
        .send(&router)
        .await;
    assert_eq!(two.status, StatusCode::UNAUTHORIZED);
    let basic = testkit::get("/me")
        .header("authorization", "Basic eDp5")
        .send(&router)
        .await;
    assert_eq!(basic.status, StatusCode::UNAUTHORIZED);
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

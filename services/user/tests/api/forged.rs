//! Forged tokens.

use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use testkit::TestTokens;

use crate::app::{self, ANN, TestApp};

fn part(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

fn packed(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// The valid token with another header and its valid signature.
fn reheaded(good: &str, header: &Value) -> String {
    let mut parts = good.split('.').skip(1);
    let (claims, signature) = (parts.next().unwrap(), parts.next().unwrap());
    format!("{}.{claims}.{signature}", packed(header))
}

/// A token that the real key has signed over any header and claims.
fn signed(app: &TestApp, bend: impl FnOnce(&mut Header), claims: &Value) -> String {
    let mut header = Header::new(Algorithm::EdDSA);
    header.typ = Some("at+jwt".to_owned());
    header.kid = Some(app.tokens.kid().to_owned());
    bend(&mut header);
    jsonwebtoken::encode(&header, claims, &app.tokens.signing_key()).unwrap()
}

async fn all_refused(app: &TestApp, forged: Vec<(&str, String)>) {
    for (what, token) in forged {
        let answer = app.get(ANN, &token).await;
        assert_eq!(
            answer.status,
            StatusCode::UNAUTHORIZED,
            "{what}: {}",
            answer.text()
        );
        assert_eq!(answer.header("www-authenticate"), "Bearer", "{what}");
    }
    assert_eq!(app.asked(), 0, "nothing was done for a forged token");
    app.get(ANN, &app.ann()).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn tokens_of_another_algorithm_are_refused() {
    let app = app::start().await;
    let (good, kid) = (app.ann(), app.tokens.kid().to_owned());
    let jwks = app.tokens.jwks();
    let public = URL_SAFE_NO_PAD
        .decode(jwks["keys"][0]["x"].as_str().unwrap())
        .unwrap();
    let mut forged = Vec::new();
    for none in ["none", "None", "nOnE", "NONE"] {
        let header = json!({"alg": none, "typ": "at+jwt", "kid": kid});
        let claims = good.split('.').nth(1).unwrap();
        forged.push((none, format!("{}.{claims}.", packed(&header))));
        forged.push((none, reheaded(&good, &header)));
    }
    for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
        let mut header = Header::new(algorithm);
        header.typ = Some("at+jwt".to_owned());
        header.kid = Some(kid.clone());
        let claims = part(&good, 1);
        for secret in [
            public.as_slice(),
            jwks["keys"][0]["x"].as_str().unwrap().as_bytes(),
            b"",
        ] {
            let key = EncodingKey::from_secret(secret);
            forged.push((
                "public key as secret",
                jsonwebtoken::encode(&header, &claims, &key).unwrap(),
            ));
        }
    }
    for alg in ["ES256", "RS256", "EdDSA "] {
        forged.push((
            alg,
            reheaded(&good, &json!({"alg": alg, "typ": "at+jwt", "kid": kid})),
        ));
    }
    all_refused(&app, forged).await;
}

#[tokio::test]
async fn tokens_of_another_key_or_kind_are_refused() {
    let app = app::start().await;
    let (good, kid) = (app.ann(), app.tokens.kid().to_owned());
    let claims = part(&good, 1);
    let stranger = TestTokens::default();
    let mut forged = vec![
        ("another key", stranger.customer(ANN)),
        ("another key under our kid", {
            let mut header = Header::new(Algorithm::EdDSA);
            header.typ = Some("at+jwt".to_owned());
            header.kid = Some(kid.clone());
            // Our kid, the stranger's key, and the stranger's key offered in the header.
            header.jwk = serde_json::from_value(stranger.jwks()["keys"][0].clone()).unwrap();
            jsonwebtoken::encode(&header, &claims, &stranger.signing_key()).unwrap()
        }),
        ("a key url", {
            let mut header = Header::new(Algorithm::EdDSA);
            header.typ = Some("at+jwt".to_owned());
            header.kid = Some(kid.clone());
            header.jku = Some("http://evil.example/jwks.json".to_owned());
            jsonwebtoken::encode(&header, &claims, &stranger.signing_key()).unwrap()
        }),
        ("no kid", signed(&app, |header| header.kid = None, &claims)),
        (
            "wrong kid",
            signed(&app, |header| header.kid = Some("other".into()), &claims),
        ),
        (
            "kid as sql",
            signed(
                &app,
                |header| header.kid = Some("' or 1=1 --".into()),
                &claims,
            ),
        ),
        (
            "kid as path",
            signed(
                &app,
                |header| header.kid = Some("../../dev/null".into()),
                &claims,
            ),
        ),
        ("no typ", signed(&app, |header| header.typ = None, &claims)),
        (
            "crit",
            signed(
                &app,
                |header| header.crit = Some(vec!["exp".into()]),
                &claims,
            ),
        ),
    ];
    for typ in ["JWT", "id+jwt", "at+jwt2", ""] {
        forged.push((
            "typ",
            signed(&app, |header| header.typ = Some(typ.into()), &claims),
        ));
    }
    all_refused(&app, forged).await;
}

#[tokio::test]
async fn tokens_with_wrong_claims_are_refused() {
    let app = app::start().await;
    let good = part(&app.ann(), 1);
    let now = good["iat"].as_u64().unwrap();
    let mut forged = Vec::new();
    for (what, claim, value) in [
        ("expired", "exp", json!(now - 11)),
        ("expired long ago", "exp", json!(1)),
        ("not yet", "nbf", json!(now + 60)),
        ("another issuer", "iss", json!("http://evil.example")),
        (
            "an issuer that starts alike",
            "iss",
            json!("http://demo.localhost.evil.example"),
        ),
        ("another shop", "aud", json!("other")),
        ("no person", "sub", json!("ann")),
        ("text for a time", "exp", json!("tomorrow")),
        ("null", "aud", Value::Null),
    ] {
        let mut claims = good.clone();
        claims[claim] = value;
        forged.push((what, signed(&app, |_| {}, &claims)));
    }
    for claim in ["exp", "nbf", "iss", "aud", "sub"] {
        let mut claims = good.clone();
        claims.as_object_mut().unwrap().remove(claim);
        forged.push((claim, signed(&app, |_| {}, &claims)));
    }
    all_refused(&app, forged).await;
}

#[tokio::test]
async fn tokens_that_were_tampered_with_are_refused() {
    let app = app::start().await;
    let good = app.ann();
    let mut claims = part(&good, 1);
    claims["roles"] = json!(["admin"]);
    let parts: Vec<_> = good.split('.').collect();
    let forged = vec![
        (
            "promoted",
            format!("{}.{}.{}", parts[0], packed(&claims), parts[2]),
        ),
        ("no signature", format!("{}.{}.", parts[0], parts[1])),
        (
            "half a signature",
            format!("{}.{}.{}", parts[0], parts[1], &parts[2][..40]),
        ),
        (
            "zeros",
            format!(
                "{}.{}.{}",
                parts[0],
                parts[1],
                URL_SAFE_NO_PAD.encode([0; 64])
            ),
        ),
        ("two parts", format!("{}.{}", parts[0], parts[1])),
        ("four parts", format!("{good}.x")),
        ("empty", String::new()),
        ("rubbish", "rubbish".to_owned()),
        ("large", "x".repeat(20_000)),
    ];
    all_refused(&app, forged).await;
}

#[tokio::test]
async fn a_token_sent_in_another_way_is_ignored() {
    let app = app::start().await;
    let good = app.ann();
    for header in [
        format!("Basic {good}"),
        good.clone(),
        format!("Token {good}"),
    ] {
        let answer = testkit::get(&app::path(ANN)).header("authorization", &header);
        let answer = answer.send(&app.router).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    }
    let twice = testkit::get(&app::path(ANN))
        .bearer(&good)
        .bearer(&good)
        .send(&app.router)
        .await;
    assert_eq!(twice.status, StatusCode::UNAUTHORIZED);
    let anonymous = testkit::get(&app::path(ANN)).send(&app.router).await;
    assert_eq!(anonymous.status, StatusCode::UNAUTHORIZED);
    let query = testkit::get(&format!("{}?access_token={good}", app::path(ANN)));
    assert_eq!(
        query.send(&app.router).await.status,
        StatusCode::UNAUTHORIZED
    );
}

//! Tokens that are refused, each with its cause.

use std::error::Error as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Map, Value, json};
use tokens::{Algorithm, Claims, KeyCache, KeySet, TokenError, TokenRules, Verifier, verify};

use crate::issuer::{AUDIENCE, ISSUER, Key, claims, document, now};

fn cache(key: &Key) -> KeyCache {
    KeyCache::fixed(KeySet::parse(document(&[key]).as_bytes()).expect("a key set"))
}

fn rules(algorithms: &[Algorithm]) -> TokenRules {
    TokenRules::new(ISSUER, &[AUDIENCE.to_owned()], algorithms)
}

async fn check(key: &Key, token: &str) -> Result<Claims, TokenError> {
    let verifier = Verifier::new(cache(key), rules(&[Algorithm::EdDSA]).require_not_before());
    verifier.verify(token).await
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

fn without(name: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().expect("an object").remove(name);
    claims
}

#[tokio::test]
async fn a_good_token_gives_its_claims() {
    let key = Key::new("one");
    let found = check(&key, &key.token(&claims())).await.unwrap();
    assert_eq!(found.sub.as_u128(), 7);
    assert_eq!(found.roles, ["customer"]);
    let mut header = key.header();
    header.typ = Some("application/AT+JWT".to_owned());
    assert!(check(&key, &key.sign(&header, &claims())).await.is_ok());
    let several = key.token(&with("aud", json!([AUDIENCE, "other"])));
    let audiences = ["other".to_owned(), AUDIENCE.to_owned()];
    let rules = TokenRules::new(ISSUER, &audiences, &[Algorithm::EdDSA]);
    let verified = verify::<Map<String, Value>>(&several, &cache(&key), &rules).await;
    assert_eq!(verified.unwrap().claims["jti"], "1");
}

#[tokio::test]
async fn claims_that_do_not_hold_are_refused_with_their_cause() {
    let key = Key::new("one");
    let cases = [
        (with("exp", json!(now() - 11)), "ExpiredSignature"),
        (with("exp", json!("never")), "exp"),
        (with("nbf", json!(now() + 60)), "ImmatureSignature"),
        (with("iss", json!("https://evil.example")), "InvalidIssuer"),
        (with("aud", json!("other")), "InvalidAudience"),
        (with("aud", json!([])), "sequence"),
        (with("sub", json!("not a uuid")), "UUID"),
        (without("exp"), "exp"),
        (without("nbf"), "nbf"),
        (without("iss"), "iss"),
        (without("aud"), "aud"),
        (without("sub"), "sub"),
    ];
    for (claims, cause) in cases {
        let error = check(&key, &key.token(&claims)).await.unwrap_err();
        assert!(
            matches!(error, TokenError::Invalid(_)),
            "{claims} {error:?}"
        );
        let found = error.source().unwrap().to_string();
        assert!(found.contains(cause), "{claims}: {found}");
    }
}

#[tokio::test]
async fn without_audiences_any_audience_passes_and_not_before_may_be_absent() {
    let key = Key::new("one");
    let open = TokenRules::new(ISSUER, &[], &[Algorithm::EdDSA]);
    for claims in [with("aud", json!("other")), without("aud"), without("nbf")] {
        let token = key.token(&claims);
        let verified = verify::<Map<String, Value>>(&token, &cache(&key), &open).await;
        assert!(verified.is_ok(), "{claims}");
    }
}

#[tokio::test]
async fn headers_that_an_issuer_here_does_not_write_are_refused() {
    let key = Key::new("one");
    let changed = |change: fn(&mut Header)| {
        let mut header = key.header();
        change(&mut header);
        key.sign(&header, &claims())
    };
    let raw = |header: Value| {
        let good = key.token(&claims());
        let (_, rest) = good.split_once('.').unwrap();
        format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header.to_string()))
    };
    let unsupported = [
        changed(|header| header.typ = None),
        changed(|header| header.typ = Some("JWT".to_owned())),
        changed(|header| header.kid = None),
        raw(json!({"alg": "EdDSA", "typ": "at+jwt", "kid": "one", "crit": ["b64"], "b64": false})),
        raw(json!({"alg": "ES256", "typ": "at+jwt", "kid": "one"})),
        raw(json!({"alg": "HS256", "typ": "at+jwt", "kid": "one"})),
        raw(json!({"alg": "RS256", "typ": "at+jwt", "kid": "one"})),
    ];
    for token in unsupported {
        let error = check(&key, &token).await.unwrap_err();
        assert!(
            matches!(error, TokenError::UnsupportedHeader(_)),
            "{error:?}"
        );
    }
    let good = key.token(&claims());
    let malformed = [
        raw(json!({"alg": "none", "typ": "at+jwt", "kid": "one"})),
        String::new(),
        "garbage".to_owned(),
        "..".to_owned(),
        good.replace('.', ".."),
    ];
    for token in malformed {
        let error = check(&key, &token).await.unwrap_err();
        assert!(
            matches!(error, TokenError::Malformed(_)),
            "{token} {error:?}"
        );
        assert!(error.source().is_some());
    }
    let long = check(&key, &"a".repeat(9_000)).await.unwrap_err();
    assert!(matches!(long, TokenError::TooLong), "{long:?}");
}

#[tokio::test]
async fn only_the_key_that_was_published_under_the_kid_verifies() {
    let (key, stranger) = (Key::new("one"), Key::new("one"));
    let invalid = check(&key, &stranger.token(&claims())).await.unwrap_err();
    assert!(matches!(invalid, TokenError::Invalid(_)), "{invalid:?}");
    let unknown = check(&key, &Key::new("two").token(&claims()))
        .await
        .unwrap_err();
    assert!(matches!(unknown, TokenError::UnknownKey), "{unknown:?}");
    let mut header = stranger.header();
    header.jwk = serde_json::from_value(stranger.jwk()).ok();
    header.jku = Some("http://evil.example/keys".to_owned());
    let embedded = check(&key, &stranger.sign(&header, &claims())).await;
    assert!(matches!(embedded, Err(TokenError::Invalid(_))));
}

#[tokio::test]
async fn the_algorithm_is_that_of_the_key_and_must_be_allowed() {
    let key = Key::new("one");
    let mut header = Header::new(Algorithm::HS256);
    header.typ = Some("at+jwt".to_owned());
    header.kid = Some("one".to_owned());
    let secret = EncodingKey::from_secret(key.jwk()["x"].as_str().unwrap().as_bytes());
    let hmac = jsonwebtoken::encode(&header, &claims(), &secret).unwrap();
    // Even with HS256 on the list: the key is an Ed25519 key.
    let careless = rules(&[Algorithm::EdDSA, Algorithm::HS256]);
    let refused = verify::<Claims>(&hmac, &cache(&key), &careless).await;
    assert!(
        matches!(refused, Err(TokenError::Invalid(_))),
        "{refused:?}"
    );
    let elliptic = rules(&[Algorithm::ES256]);
    let token = key.token(&claims());
    let refused = verify::<Claims>(&token, &cache(&key), &elliptic).await;
    assert!(
        matches!(refused, Err(TokenError::UnsupportedHeader(_))),
        "{refused:?}"
    );
}

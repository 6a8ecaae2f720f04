use std::sync::Arc;

use argon2::{Argon2, Params, PasswordHash, PasswordHasher};
use axum::http::StatusCode;
use futures::poll;
use serde_json::{Value, json};
use tokens::{Algorithm, KeyCache, KeySet, TokenRules, Verifier};
use vocabulary::SystemClock;

use crate::app::{self, AUDIENCE, ISSUER, PASSWORD, words};

#[tokio::test]
async fn a_login_answers_as_documented() {
    let app = app::start().await;
    app.register("ann", "ann@example.com").await;
    let answer = app
        .log_in("ANN@example.com", PASSWORD)
        .await
        .expect(StatusCode::OK);
    let body: Value = answer.json();
    assert_eq!(
        (&body["token_type"], &body["expires_in"]),
        (&json!("Bearer"), &json!(3600))
    );
    assert_eq!(body.as_object().unwrap().len(), 4);
    assert_eq!(body["access_token"].as_str().unwrap().split('.').count(), 3);
    assert_eq!(answer.header("cache-control"), "no-store");
}

#[tokio::test]
async fn the_published_keys_verify_the_token() {
    let mut app = app::start().await;
    app.state.core.clock = Arc::new(SystemClock);
    app.router = auth::router(app.state.clone());
    let id = app.register("ann", "ann@example.com").await;
    let body: Value = app.log_in("ann@example.com", PASSWORD).await.json();

    let jwks = testkit::get("/.well-known/jwks.json")
        .send(&app.router)
        .await;
    assert_eq!(jwks.header("cache-control"), "public, max-age=300");
    let jwks: Value = jwks.json();
    let published = jwks["keys"].as_array().unwrap();
    assert_eq!(published.len(), 2, "the old key stays published");
    assert!(published.contains(&app.keys.jwks()["keys"][0]));
    let keys = KeySet::parse(jwks.to_string().as_bytes()).unwrap();
    let rules = TokenRules::new(ISSUER, &[AUDIENCE.to_owned()], &[Algorithm::EdDSA]);
    let verifier = Verifier::new(KeyCache::fixed(keys), rules);
    let claims = verifier
        .verify(body["access_token"].as_str().unwrap())
        .await
        .unwrap();
    assert_eq!(
        (claims.sub, claims.roles),
        (id, vec!["customer".to_owned()])
    );
    assert_eq!((claims.exp - claims.iat, claims.nbf), (3600, claims.iat));
}

#[tokio::test]
async fn an_unknown_address_and_a_wrong_password_get_the_same_answer() {
    let app = app::start().await;
    app.register("ann", "ann@example.com").await;
    let hashed = || app.state.metrics.hash_seconds.get_sample_count();

    let before = hashed();
    let wrong = app.log_in("ann@example.com", "wrong horse battery").await;
    let for_wrong = hashed() - before;
    let unknown = app.log_in("bob@example.com", "wrong horse battery").await;
    let for_unknown = hashed() - before - for_wrong;

    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        (wrong.status, words(&wrong)),
        (unknown.status, words(&unknown))
    );
    assert_eq!((for_wrong, for_unknown), (1, 1), "both cost one hash");
    let names = |answer: &testkit::Answer| {
        answer
            .headers
            .keys()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&wrong), names(&unknown));
}

#[tokio::test]
async fn unusual_input_is_refused_like_a_wrong_password() {
    let app = app::start().await;
    app.register("ann", "ann@example.com").await;
    let long = "x".repeat(100_000);
    for (email, password) in [
        ("ann@example.com\u{0}", PASSWORD),
        ("", ""),
        ("' or 1=1 --", PASSWORD),
        ("ann@example.com", ""),
        ("ann@example.com", &long),
        (&long, PASSWORD),
    ] {
        let answer = app.log_in(email, password).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{}", answer.text());
    }
}

#[tokio::test]
async fn a_hash_with_older_parameters_is_replaced_at_login() {
    let app = app::start().await;
    app.register("ann", "ann@example.com").await;
    let weak = Argon2::from(Params::new(8, 1, 1, None).unwrap());
    let weak: PasswordHash = weak.hash_password(PASSWORD.as_bytes()).unwrap();
    sqlx::query("update auth.accounts set password_hash = $1")
        .bind(weak.to_string())
        .execute(&app.pool)
        .await
        .unwrap();
    app.log_in("ann@example.com", PASSWORD)
        .await
        .expect(StatusCode::OK);
    let hash: String = sqlx::query_scalar("select password_hash from auth.accounts")
        .fetch_one(&app.pool)
        .await
        .unwrap();
    assert!(
        hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
        "{hash}"
    );
    app.log_in("ann@example.com", PASSWORD)
        .await
        .expect(StatusCode::OK);
}

#[tokio::test]
async fn logins_beyond_the_queue_are_answered_with_503() {
    let app = app::start().await;
    // Two turns are taken and never used; 32 wait for them.
    let taken = [
        app.state.hasher.slot().await.unwrap(),
        app.state.hasher.slot().await.unwrap(),
    ];
    let mut waiting: Vec<_> = (0..32).map(|_| Box::pin(app.state.hasher.slot())).collect();
    for slot in &mut waiting {
        assert!(poll!(slot).is_pending());
    }
    let refused = app.log_in("ann@example.com", PASSWORD).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(!refused.header("retry-after").is_empty());
    drop(taken);
    for slot in waiting {
        assert!(slot.await.is_ok());
    }
    let answer = app.log_in("ann@example.com", PASSWORD).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
}

//! Rows that the releases before this one wrote come through the migrations.

use std::borrow::Cow;
use std::sync::Arc;

use axum::http::StatusCode;
use chassis::{InternalToken, Registry};
use payment::providers::Providers;
use payment::{AppState, MIGRATOR, Metrics, SCHEMA};
use serde_json::Value;
use service::Core;
use sqlx::migrate::Migrator;
use testkit::{FixedClock, SeededEntropy, TestTokens};
use uuid::Uuid;

/// The first migration with operations as intents.
const INTENTS: i64 = 20_261_128_110_000;

#[tokio::test]
async fn payments_of_older_releases_keep_their_state_and_can_be_finished() {
    let before = MIGRATOR.iter().filter(|it| it.version < INTENTS).cloned();
    let before = Migrator {
        migrations: Cow::Owned(before.collect()),
        ..Migrator::DEFAULT
    };
    let db = testkit::db(&before).await;
    let rows = [
        ("authorised", "manual-capture-decline", 0, 0),
        ("declined", "manual-decline", 0, 0),
        ("voided", "manual", 0, 0),
        ("captured", "manual", 500, 200),
        ("refunded", "manual", 500, 500),
    ];
    for (n, (state, method, captured, refunded)) in (1..).zip(rows) {
        sqlx::query(
            "insert into payment.payments (payment_id, state, order_id, user_id, method, currency, amount_minor,
                 captured_minor, refunded_minor, created_at, updated_at)
             values ($1, $2, $1, $1, $3, 'EUR', 500, $4, $5, now(), now())",
        )
        .bind(Uuid::from_u128(n))
        .bind(state)
        .bind(method)
        .bind(captured)
        .bind(refunded)
        .execute(&db.pool)
        .await
        .unwrap();
    }
    sqlx::query(
        "insert into payment.operations values ($1, 'authorise', 'authorise', 500, now()),
             ($2, 'authorise', 'authorise', 500, now()), ($2, 'order.placed', 'capture', 500, now())",
    )
    .bind(Uuid::from_u128(1))
    .bind(Uuid::from_u128(4))
    .execute(&db.pool)
    .await
    .unwrap();

    payment_migrations(&db.url).await;

    let tokens = TestTokens::default();
    let app = AppState {
        core: Core {
            pool: db.pool.clone(),
            clock: Arc::new(FixedClock::default()),
            entropy: Arc::new(SeededEntropy::new(1)),
        },
        verifier: tokens.verifier(),
        internal: InternalToken::new(super::support::TOKEN),
        providers: Arc::new(Providers::offering(&["manual".to_owned()]).unwrap()),
        requests: Arc::default(),
        wake: Arc::default(),
        metrics: Metrics::new(&Registry::new().unwrap()).unwrap(),
    };
    let router = payment::router(app);
    for (n, (state, _, captured, refunded)) in (1..).zip(rows) {
        let shown = testkit::get(&format!("/v1/payments/{}", Uuid::from_u128(n)));
        let shown = shown.bearer(&tokens.admin(Uuid::from_u128(99)));
        let shown: Value = shown.send(&router).await.expect(StatusCode::OK).json();
        assert_eq!(shown["status"], state);
        assert_eq!(shown["method"], "manual");
        let moved = (&shown["captured"]["minor"], &shown["refunded"]["minor"]);
        assert_eq!(moved, (&captured.into(), &refunded.into()));
    }
    for (n, verb, status) in [(1, "capture", "captured"), (4, "refund", "refunded")] {
        let path = format!("/internal/v1/payments/{}/{verb}", Uuid::from_u128(n));
        let call = testkit::post(&path).bearer(super::support::TOKEN);
        let call = call.json(&serde_json::json!({"operation_id": "late"}));
        let answer = call.send(&router).await.expect(StatusCode::OK);
        assert_eq!(answer.json::<Value>()["status"], status);
    }
}

async fn payment_migrations(url: &str) {
    outbox::migrate::run(&MIGRATOR, url, SCHEMA).await.unwrap();
}

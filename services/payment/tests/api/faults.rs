//! A provider that answers late, twice, or not at all.

use std::time::Duration;

use axum::http::StatusCode;
use chrono::TimeDelta;
use serde_json::{Value, json};
use sqlx::postgres::PgPoolOptions;
use testkit::provider::Behaviour;

use super::double::METHOD;
use super::support::{new_id, shop};

fn key(id: uuid::Uuid, operation: &str) -> String {
    format!("{id}:{operation}")
}

#[tokio::test]
async fn a_payment_that_is_pending_is_authorised_when_the_provider_decides() {
    let shop = shop().await;
    let id = new_id();
    shop.provider.script("authorise", [Behaviour::Pends]);
    let answer = shop.authorise(id, 500, METHOD).await.expect(StatusCode::OK);
    assert_eq!(
        answer.json::<Value>(),
        json!({"payment_id": id, "status": "pending"})
    );
    assert!(shop.published().await.is_empty());
    let _worker = shop.worker();
    // Without a notification: the worker asks.
    shop.provider.complete(&key(id, "authorise")).await;
    shop.reaches(id, "authorised").await;
    assert_eq!(shop.published().await, ["payment.authorised.v1"]);
    let answer = shop.authorise(id, 500, METHOD).await.expect(StatusCode::OK);
    assert_eq!(answer.json::<Value>()["status"], "authorised");
    assert_eq!(shop.provider.account(&id.to_string()).authorisations, 1);
}

#[tokio::test]
async fn a_payer_who_has_to_act_is_sent_to_the_provider() {
    let shop = shop().await;
    let id = new_id();
    shop.provider.script("authorise", [Behaviour::AsksPayer]);
    let answer = shop.authorise(id, 500, METHOD).await.expect(StatusCode::OK);
    let url = format!("{}/pay/{id}", shop.provider.url());
    let action = json!({"type": "redirect", "url": url});
    assert_eq!(
        answer.json::<Value>(),
        json!({"payment_id": id, "status": "requires_action", "next_action": action})
    );
    let payer = shop.tokens.customer(super::support::USER);
    let shown = testkit::get(&format!("/v1/payments/{id}")).bearer(&payer);
    let shown = shown.send(&shop.router).await.expect(StatusCode::OK);
    assert_eq!(shown.json::<Value>()["next_action"], action);
    let _worker = shop.worker();
    shop.provider
        .decline(&key(id, "authorise"), "abandoned")
        .await;
    shop.reaches(id, "declined").await;
    assert_eq!(shop.published().await, ["payment.failed.v1"]);
}

/// The provider did it and its answer was lost: it is asked what became of the key, never for a second payment.
#[tokio::test]
async fn an_answer_that_is_lost_is_asked_for_again() {
    for fault in [
        Behaviour::ActsThenHangs,
        Behaviour::ActsThenFails,
        Behaviour::Fails,
    ] {
        let shop = shop().await;
        let id = new_id();
        shop.provider.script("authorise", [fault.clone()]);
        shop.provider.script("capture", [fault.clone()]);
        shop.provider.script("refund", [fault]);
        let answer = shop.authorise(id, 500, METHOD).await.expect(StatusCode::OK);
        assert_eq!(answer.json::<Value>()["status"], "requested");
        let _worker = shop.worker();
        shop.reaches(id, "authorised").await;
        let capture = shop
            .operate(id, "capture", json!({"operation_id": "c"}))
            .await;
        capture.expect(StatusCode::ACCEPTED);
        shop.reaches(id, "captured").await;
        let again = shop
            .operate(id, "capture", json!({"operation_id": "c"}))
            .await;
        again.expect(StatusCode::OK);
        let refund = shop
            .operate(id, "refund", json!({"operation_id": "r"}))
            .await;
        refund.expect(StatusCode::ACCEPTED);
        shop.reaches(id, "refunded").await;
        let account = shop.provider.account(&id.to_string());
        assert_eq!((account.authorisations, account.captures), (1, 1));
        assert_eq!((account.captured, account.refunded), (500, 500));
        assert_eq!(shop.balance("customer").await, 0);
        let published = shop.published().await;
        let all = [
            "payment.authorised.v1",
            "payment.captured.v1",
            "payment.refunded.v1",
        ];
        assert_eq!(published, all);
    }
}

#[tokio::test]
async fn a_slow_answer_and_the_worker_come_to_the_same() {
    let shop = shop().await;
    let id = new_id();
    shop.provider
        .script("authorise", [Behaviour::Slow(Duration::from_millis(200))]);
    let _worker = shop.worker();
    // Time passes fast, so that the worker takes over while the request still waits.
    let (answer, ()) = tokio::join!(
        shop.authorise(id, 500, METHOD),
        shop.reaches(id, "authorised")
    );
    assert_eq!(
        answer.expect(StatusCode::OK).json::<Value>()["status"],
        "authorised"
    );
    assert_eq!(shop.provider.account(&id.to_string()).authorisations, 1);
    assert_eq!(shop.published().await, ["payment.authorised.v1"]);
    assert_eq!(shop.balance("authorised").await, 500);
}

#[tokio::test]
async fn a_void_while_the_authorisation_is_not_answered_gives_it_up_when_it_is() {
    for fault in [
        Behaviour::ActsThenHangs,
        Behaviour::Fails,
        Behaviour::Pends,
        Behaviour::AsksPayer,
    ] {
        let shop = shop().await;
        let id = new_id();
        shop.provider.script("authorise", [fault]);
        shop.authorise(id, 500, METHOD).await.expect(StatusCode::OK);
        for _ in 0..2 {
            let void = shop
                .operate(id, "void", json!({"operation_id": "checkout"}))
                .await;
            void.expect(StatusCode::NO_CONTENT);
        }
        let _worker = shop.worker();
        shop.reaches(id, "voided").await;
        assert_eq!(shop.open().await, 0);
        assert_eq!(shop.provider.account(&id.to_string()).held, 0);
        assert_eq!(
            (
                shop.balance("authorised").await,
                shop.balance("customer").await
            ),
            (0, 0)
        );
        // The payer comes back to the page of the provider: too late.
        assert!(!shop.provider.complete(&key(id, "authorise")).await);
    }
}

#[tokio::test]
async fn a_payment_that_nobody_decides_expires_and_is_voided() {
    let shop = shop().await;
    let id = new_id();
    shop.provider.script("authorise", [Behaviour::AsksPayer]);
    shop.authorise(id, 500, METHOD).await.expect(StatusCode::OK);
    let _worker = shop.worker();
    shop.clock.advance(TimeDelta::hours(1));
    shop.reaches(id, "voided").await;
    assert_eq!(shop.published().await, ["payment.failed.v1"]);
    let late = shop.authorise(id, 500, METHOD).await.expect(StatusCode::OK);
    assert_eq!(late.json::<Value>()["status"], "voided");
}

/// Each call needs a connection for its answer, and so does the search for what else is due.
#[tokio::test]
async fn a_worker_with_one_connection_executes_many_operations() {
    let mut shop = shop().await;
    let ids: Vec<_> = std::iter::repeat_with(new_id).take(12).collect();
    for &id in &ids {
        shop.provider.script("authorise", [Behaviour::Fails]);
        shop.authorise(id, 500, METHOD).await;
    }
    let options = PgPoolOptions::new().max_connections(1);
    shop.app.core.pool = options.connect(&shop.db.url).await.unwrap();
    let _worker = shop.worker();
    for &id in &ids {
        shop.reaches(id, "authorised").await;
    }
}

#[tokio::test]
async fn a_refused_refund_moves_nothing_and_stays_refused() {
    let shop = shop().await;
    let id = new_id();
    shop.authorise(id, 500, METHOD).await.expect(StatusCode::OK);
    let capture = shop
        .operate(id, "capture", json!({"operation_id": "c"}))
        .await;
    capture.expect(StatusCode::OK);
    shop.provider
        .script("refund", [Behaviour::Declines("account_closed")]);
    for _ in 0..2 {
        let refund = shop
            .operate(id, "refund", json!({"operation_id": "r", "minor": 300}))
            .await;
        assert_eq!(
            refund.expect(StatusCode::CONFLICT).code(),
            "payment_refused"
        );
    }
    assert_eq!(shop.balance("captured").await, 500);
    let refund = shop
        .operate(id, "refund", json!({"operation_id": "other"}))
        .await;
    assert_eq!(
        refund.expect(StatusCode::OK).json::<Value>()["status"],
        "refunded"
    );
}

/// PostgreSQL stores no NUL, and nobody reads a reason of ten thousand letters: the answer is taken all the same.
#[tokio::test]
async fn texts_of_the_provider_are_cut_to_what_can_be_stored() {
    let shop = shop().await;
    let id = new_id();
    let reason: &'static str = format!("\0gone\n{}", "x".repeat(10_000)).leak();
    shop.provider
        .script("authorise", [Behaviour::Declines(reason)]);
    let answer = shop.authorise(id, 500, METHOD).await.expect(StatusCode::OK);
    assert_eq!(answer.json::<Value>()["status"], "declined");
    let stored: String =
        sqlx::query_scalar("select decline_reason from payment.payments where payment_id = $1")
            .bind(id)
            .fetch_one(&shop.db.pool)
            .await
            .unwrap();
    assert_eq!((stored.len(), &stored[..5]), (2_048, "gonex"));
}

#[tokio::test]
async fn refunds_over_the_network_never_exceed_the_capture() {
    let shop = shop().await;
    let id = new_id();
    shop.authorise(id, 1_000, METHOD)
        .await
        .expect(StatusCode::OK);
    let capture = shop
        .operate(id, "capture", json!({"operation_id": "c"}))
        .await;
    capture.expect(StatusCode::OK);
    let faults = [
        Behaviour::ActsThenFails,
        Behaviour::Fails,
        Behaviour::Answers,
    ];
    shop.provider
        .script("refund", faults.into_iter().cycle().take(30));
    let refunds = (0..32).map(|n| {
        let body = json!({"operation_id": format!("r{n}"), "minor": 90});
        shop.operate(id, "refund", body)
    });
    let answers = futures::future::join_all(refunds).await;
    let accepted = |answer: &&testkit::Answer| answer.status.is_success();
    // Eleven times 90 fit into 1000, answered or not.
    assert_eq!(answers.iter().filter(accepted).count(), 11);
    let _worker = shop.worker();
    testkit::eventually("all refunds are answered", || async {
        shop.clock.advance(TimeDelta::seconds(2));
        (shop.open().await == 0).then_some(())
    })
    .await;
    assert_eq!(shop.provider.account(&id.to_string()).refunded, 990);
    assert_eq!(shop.balance("captured").await, 10);
}

#[tokio::test]
async fn the_age_of_the_oldest_unanswered_operation_is_shown() {
    let shop = shop().await;
    let id = new_id();
    shop.provider.script("authorise", [Behaviour::Pends]);
    shop.authorise(id, 500, METHOD).await.expect(StatusCode::OK);
    shop.provider
        .script("authorise", std::iter::repeat_n(Behaviour::Fails, 100));
    shop.authorise(new_id(), 500, METHOD)
        .await
        .expect(StatusCode::OK);
    shop.clock.advance(TimeDelta::minutes(10));
    let _worker = shop.worker();
    testkit::eventually("the backlog is shown", || async {
        let age = shop.series("shop_payment_operations_oldest_age_seconds");
        let open = shop.series("shop_payment_operations_open");
        (age >= 600 && open == 2).then_some(())
    })
    .await;
}

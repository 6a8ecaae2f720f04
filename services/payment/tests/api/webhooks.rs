//! Notifications of the provider, over a socket.

use axum::http::StatusCode;
use payment::NotificationSweep;
use payment::providers::Providers;
use serde_json::{Value, json};
use service::{PeriodicTask, Progress};
use testkit::FixedClock;
use testkit::provider::{Behaviour, PaymentProvider};

use super::double::METHOD;
use super::support::{new_id, shop, shop_with};

#[tokio::test]
async fn a_notification_decides_a_pending_payment_once() {
    let shop = shop().await;
    shop.takes_notifications().await;
    let id = new_id();
    let key = format!("{id}:authorise");
    shop.provider.script("authorise", [Behaviour::Pends]);
    shop.authorise(id, 500, METHOD).await.expect(StatusCode::OK);
    // No worker runs: the notification alone does it.
    assert!(shop.provider.complete(&key).await);
    assert_eq!(shop.state(id).await, "authorised");
    for _ in 0..3 {
        let again = shop.provider.notify(&key).await;
        assert_eq!(again, Some(StatusCode::NO_CONTENT));
    }
    assert_eq!(shop.published().await, ["payment.authorised.v1"]);
    assert_eq!(shop.balance("authorised").await, 500);
    let of = |outcome: &str| {
        shop.series(&format!(
            "shop_payment_notifications_total{{outcome=\"{outcome}\"}}"
        ))
    };
    assert_eq!((of("accepted"), of("duplicate")), (1, 3));
}

#[tokio::test]
async fn a_notification_before_the_answer_is_the_answer() {
    let shop = shop().await;
    shop.takes_notifications().await;
    let id = new_id();
    for kind in ["authorise", "capture", "refund"] {
        shop.provider.script(kind, [Behaviour::NotifiesFirst]);
    }
    let answer = shop.authorise(id, 500, METHOD).await.expect(StatusCode::OK);
    assert_eq!(answer.json::<Value>()["status"], "authorised");
    for verb in ["capture", "refund"] {
        let done = shop.operate(id, verb, json!({"operation_id": verb})).await;
        done.expect(StatusCode::OK);
    }
    assert_eq!(shop.state(id).await, "refunded");
    let published = shop.published().await;
    let all = [
        "payment.authorised.v1",
        "payment.captured.v1",
        "payment.refunded.v1",
    ];
    assert_eq!(published, all);
    assert_eq!(shop.balance("customer").await, 0);
}

#[tokio::test]
async fn a_notification_that_is_not_signed_by_the_provider_is_refused() {
    let shop = shop().await;
    let id = new_id();
    shop.provider.script("authorise", [Behaviour::Pends]);
    shop.authorise(id, 500, METHOD).await.expect(StatusCode::OK);
    let body = json!({"key": format!("{id}:authorise"), "status": "done"});
    let path = format!("/v1/payments/webhooks/{METHOD}");
    let bare = testkit::post(&path).json(&body);
    let forged = testkit::post(&path)
        .header("webhook-id", "1")
        .header("webhook-timestamp", "1769860800")
        .header("webhook-signature", "v1,AAAA")
        .json(&body);
    for call in [bare, forged] {
        call.send(&shop.router)
            .await
            .expect(StatusCode::UNAUTHORIZED);
    }
    assert_eq!(shop.state(id).await, "pending");
}

#[tokio::test]
async fn a_notification_that_was_signed_long_ago_is_refused() {
    let shop = shop().await;
    let url = shop.takes_notifications().await;
    let id = new_id();
    shop.provider.script("authorise", [Behaviour::Pends]);
    shop.authorise(id, 500, METHOD).await.expect(StatusCode::OK);
    // The provider's clock is ahead of ours by more than is tolerated.
    let late = FixedClock::default();
    late.advance(chrono::TimeDelta::minutes(6));
    let other = PaymentProvider::start(std::sync::Arc::new(late)).await;
    other.notify_to(&url);
    let request = testkit::provider::ProviderRequest {
        key: format!("{id}:authorise"),
        payment: id.to_string(),
        kind: "authorise".into(),
        minor: 500,
    };
    other.receive(&request);
    assert_eq!(
        other.notify(&request.key).await,
        Some(StatusCode::UNAUTHORIZED)
    );
    assert_eq!(shop.state(id).await, "pending");
}

#[tokio::test]
async fn a_notification_about_something_never_requested_is_an_incident() {
    let shop = shop().await;
    shop.takes_notifications().await;
    let request = testkit::provider::ProviderRequest {
        key: format!("{}:authorise", new_id()),
        payment: new_id().to_string(),
        kind: "authorise".into(),
        minor: 500,
    };
    shop.provider.receive(&request);
    assert_eq!(
        shop.provider.notify(&request.key).await,
        Some(StatusCode::NO_CONTENT)
    );
    let incidents = r#"shop_payment_incidents_total{kind="unknown_operation"}"#;
    assert_eq!(shop.series(incidents), 1);
}

/// The books of the provider and ours differ: it is counted and logged, and our ledger stays what it is.
#[tokio::test]
async fn captured_after_voided_is_an_incident_and_moves_nothing() {
    let shop = shop().await;
    shop.takes_notifications().await;
    let id = new_id();
    shop.authorise(id, 500, METHOD).await.expect(StatusCode::OK);
    shop.provider
        .script("capture", [Behaviour::Declines("expired")]);
    let capture = shop
        .operate(id, "capture", json!({"operation_id": "c"}))
        .await;
    capture.expect(StatusCode::CONFLICT);
    let _worker = shop.worker();
    shop.reaches(id, "voided").await;
    // Another provider, whose books say that it was captured.
    let other = PaymentProvider::start(std::sync::Arc::new(shop.clock.clone())).await;
    let request = testkit::provider::ProviderRequest {
        key: format!("{id}:c"),
        payment: id.to_string(),
        kind: "capture".into(),
        minor: 500,
    };
    other.receive(&request);
    other.notify_to(&shop.takes_notifications().await);
    assert_eq!(
        other.notify(&request.key).await,
        Some(StatusCode::NO_CONTENT)
    );
    let incidents = r#"shop_payment_incidents_total{kind="done_after_voided"}"#;
    assert_eq!(shop.series(incidents), 1);
    assert_eq!(shop.state(id).await, "voided");
    assert_eq!(shop.balance("captured").await, 0);
}

#[tokio::test]
async fn without_a_provider_that_notifies_there_is_no_route() {
    let clock = FixedClock::default();
    let provider = PaymentProvider::start(std::sync::Arc::new(clock.clone())).await;
    let manual = Providers::offering(&["manual".to_owned()]).unwrap();
    let shop = shop_with(clock, provider, manual).await;
    for name in ["manual", METHOD] {
        let path = format!("/v1/payments/webhooks/{name}");
        let call = testkit::post(&path).json(&json!({}));
        call.send(&shop.router).await.expect(StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn a_provider_that_does_not_notify_has_no_route_beside_one_that_does() {
    let shop = shop().await;
    for name in ["manual", "nobody"] {
        let path = format!("/v1/payments/webhooks/{name}");
        let call = testkit::post(&path).json(&json!({}));
        call.send(&shop.router).await.expect(StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn notifications_that_are_not_delivered_again_are_forgotten() {
    let shop = shop().await;
    shop.takes_notifications().await;
    let notified = async || {
        let id = new_id();
        shop.authorise(id, 500, METHOD).await.expect(StatusCode::OK);
        shop.provider.notify(&format!("{id}:authorise")).await
    };
    assert_eq!(notified().await, Some(StatusCode::NO_CONTENT));
    shop.clock.advance(chrono::TimeDelta::days(31));
    assert_eq!(notified().await, Some(StatusCode::NO_CONTENT));
    let sweep = NotificationSweep::new(shop.app.clone());
    assert_eq!(sweep.run().await.unwrap(), Progress::Done);
    let left: i64 = sqlx::query_scalar("select count(*) from payment.notifications")
        .fetch_one(&shop.db.pool)
        .await
        .unwrap();
    assert_eq!(left, 1);
}

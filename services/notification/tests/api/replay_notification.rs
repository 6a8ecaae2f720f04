use axum::http::StatusCode;
use serde_json::Value;
use testkit::{Answer, free_port};
use uuid::Uuid;

use crate::app::{self, TestApp, paid};
use crate::mailpit;

async fn replay(app: &TestApp, id: Uuid) -> Answer {
    testkit::post(&format!("/v1/notifications/{id}/replay"))
        .bearer(&app.tokens.admin(Uuid::from_u128(1)))
        .send(&app.router)
        .await
}

#[tokio::test]
async fn a_dead_message_is_sent_after_a_replay() {
    let (app, mail) = (app::start().await, mailpit::start().await);
    app.consume(&paid(1)).await;
    let away = app.sender(free_port());
    for _ in 0..10 {
        away.send_due().await.unwrap();
        app.clock.set(app.row().await.due_at);
    }
    let id = app.row().await.id;
    let body: Value = replay(&app, id).await.expect(StatusCode::OK).json();
    assert_eq!(
        (&body["status"], &body["attempts"]),
        (&"queued".into(), &0.into())
    );
    app.sender(mail.smtp).send_due().await.unwrap();
    assert_eq!(app.row().await.status, "sent");
    assert_eq!(mail.messages().await.len(), 1);
}

#[tokio::test]
async fn only_a_dead_message_is_replayed() {
    let (app, mail) = (app::start().await, mailpit::start().await);
    app.consume(&paid(1)).await;
    let id = app.row().await.id;
    assert_eq!(
        replay(&app, id).await.expect(StatusCode::CONFLICT).code(),
        "not_dead"
    );
    app.sender(mail.smtp).send_due().await.unwrap();
    replay(&app, id).await.expect(StatusCode::CONFLICT);
    assert_eq!(app.sender(mail.smtp).send_due().await.unwrap(), 0);
    replay(&app, Uuid::from_u128(9))
        .await
        .expect(StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_customer_cannot_replay() {
    let app = app::start().await;
    app.consume(&paid(1)).await;
    let path = format!("/v1/notifications/{}/replay", app.row().await.id);
    let customer = app.tokens.customer(Uuid::from_u128(7));
    let customer = testkit::post(&path)
        .bearer(&customer)
        .send(&app.router)
        .await;
    assert_eq!(customer.status, StatusCode::FORBIDDEN);
    assert_eq!(
        testkit::post(&path).send(&app.router).await.status,
        StatusCode::UNAUTHORIZED
    );
}

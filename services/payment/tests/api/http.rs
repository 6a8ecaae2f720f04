use axum::http::StatusCode;
use contracts::cases::Request;
use serde_json::{Value, json};
use testkit::provider::Behaviour;

use super::double::METHOD;
use super::support::{Shop, TOKEN, USER, new_id, shop};

#[tokio::test]
async fn the_same_authorisation_twice_is_one() {
    let shop = shop().await;
    let id = new_id();
    let first = shop
        .authorise(id, 500, "manual")
        .await
        .expect(StatusCode::OK);
    let again = shop
        .authorise(id, 500, "manual")
        .await
        .expect(StatusCode::OK);
    assert_eq!(first.text(), again.text());
    assert_eq!(first.json::<Value>()["status"], "authorised");
    // The response has told it.
    assert!(shop.published().await.is_empty());
    assert_eq!(shop.balance("authorised").await, 500);
}

#[tokio::test]
async fn another_amount_under_the_same_id_is_refused() {
    let shop = shop().await;
    let id = new_id();
    shop.authorise(id, 500, "manual")
        .await
        .expect(StatusCode::OK);
    let answer = shop
        .authorise(id, 501, "manual")
        .await
        .expect(StatusCode::CONFLICT);
    assert_eq!(answer.code(), "payment_mismatch");
}

#[tokio::test]
async fn a_declined_authorisation_stays_declined_and_holds_nothing() {
    let shop = shop().await;
    shop.provider
        .script("authorise", [Behaviour::Declines("card_declined")]);
    let id = new_id();
    for _ in 0..2 {
        let answer = shop.authorise(id, 500, METHOD).await.expect(StatusCode::OK);
        assert_eq!(answer.json::<Value>()["status"], "declined");
    }
    assert_eq!(shop.balance("authorised").await, 0);
    assert_eq!(shop.published().await, ["payment.failed.v1"]);
    assert_eq!(shop.provider.account(&id.to_string()).authorisations, 0);
}

/// Both were methods for tests that any client could use.
#[tokio::test]
async fn methods_for_tests_are_not_offered() {
    let shop = shop().await;
    for method in [
        "manual-decline",
        "manual-capture-decline",
        "Manual",
        "",
        "stripe",
    ] {
        let answer = shop.authorise(new_id(), 500, method).await;
        let answer = answer.expect(StatusCode::UNPROCESSABLE_ENTITY);
        let error = &answer.json::<Value>()["errors"][0];
        assert_eq!(error["field"], "method");
        assert_eq!(error["message"], "not offered; offered: double, manual");
    }
}

#[tokio::test]
async fn the_contract_with_the_other_services_is_kept() {
    struct Provided(Shop);
    impl contracts::cases::payments::Payments for Provided {
        async fn call(&self, request: Request) -> contracts::cases::Answer {
            let method = request.method.parse().unwrap();
            let call = testkit::request(method, &request.path).bearer(TOKEN);
            let call = match &request.body {
                Some(body) => call.json(body),
                None => call,
            };
            let answer = call.send(&self.0.router).await;
            contracts::cases::Answer {
                status: answer.status.as_u16(),
                body: answer.body.to_vec(),
            }
        }
    }
    contracts::cases::payments::run(&Provided(shop().await)).await;
}

#[tokio::test]
async fn bad_requests_name_the_field() {
    let shop = shop().await;
    let answer = shop
        .authorise(new_id(), 0, "manual")
        .await
        .expect(StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(answer.json::<Value>()["errors"][0]["field"], "amount.minor");
}

#[tokio::test]
async fn operation_ids_are_printable_and_no_follow_up_of_ours() {
    let shop = shop().await;
    for id in ["", "c/refund", "nul\0", "tab\t", "ö"] {
        let void = shop
            .operate(new_id(), "void", json!({"operation_id": id}))
            .await;
        let void = void.expect(StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(void.json::<Value>()["errors"][0]["field"], "operation_id");
    }
}

#[tokio::test]
async fn a_void_that_overtakes_the_authorisation_is_remembered() {
    let shop = shop().await;
    let id = new_id();
    for _ in 0..2 {
        let void = json!({"operation_id": "checkout"});
        shop.operate(id, "void", void)
            .await
            .expect(StatusCode::NO_CONTENT);
    }
    let late = shop
        .authorise(id, 500, "manual")
        .await
        .expect(StatusCode::CONFLICT);
    assert_eq!(late.code(), "payment_cancelled");
    assert_eq!(shop.balance("authorised").await, 0);
}

#[tokio::test]
async fn a_void_gives_the_authorisation_up_once() {
    let shop = shop().await;
    let id = new_id();
    shop.authorise(id, 500, "manual")
        .await
        .expect(StatusCode::OK);
    for _ in 0..2 {
        let void = json!({"operation_id": "checkout"});
        shop.operate(id, "void", void)
            .await
            .expect(StatusCode::NO_CONTENT);
    }
    assert_eq!(shop.state(id).await, "voided");
    assert_eq!(shop.balance("customer").await, 0);
    let captured = shop
        .operate(id, "capture", json!({"operation_id": "c"}))
        .await;
    assert_eq!(
        captured.expect(StatusCode::CONFLICT).code(),
        "payment_refused"
    );
}

#[tokio::test]
async fn thirty_two_refunds_at_once_never_exceed_the_capture() {
    let shop = shop().await;
    let id = new_id();
    shop.authorise(id, 1_000, "manual")
        .await
        .expect(StatusCode::OK);
    shop.operate(id, "capture", json!({"operation_id": "c"}))
        .await
        .expect(StatusCode::OK);
    let refunds = (0..32).map(|n| {
        shop.operate(
            id,
            "refund",
            json!({"operation_id": format!("r{n}"), "minor": 90}),
        )
    });
    let answers = join(refunds).await;
    let done = answers
        .iter()
        .filter(|a| a.status == StatusCode::OK)
        .count();
    // Eleven times 90 fit into 1000.
    assert_eq!(done, 11);
    assert!(
        answers
            .iter()
            .all(|a| a.status == StatusCode::OK || a.status == StatusCode::CONFLICT)
    );
    assert_eq!(shop.balance("captured").await, 10);
    shop.operate(id, "refund", json!({"operation_id": "rest"}))
        .await
        .expect(StatusCode::OK);
    assert_eq!(shop.state(id).await, "refunded");
    assert_eq!(shop.balance("captured").await, 0);
}

#[tokio::test]
async fn one_refund_asked_for_eight_times_at_once_is_one_refund() {
    let shop = shop().await;
    let id = new_id();
    shop.authorise(id, 1_000, "manual")
        .await
        .expect(StatusCode::OK);
    shop.operate(id, "capture", json!({"operation_id": "c"}))
        .await
        .expect(StatusCode::OK);
    let refunds =
        (0..8).map(|_| shop.operate(id, "refund", json!({"operation_id": "r", "minor": 300})));
    for answer in join(refunds).await {
        answer.expect(StatusCode::OK);
    }
    assert_eq!(shop.balance("captured").await, 700);
    let other = shop
        .operate(id, "refund", json!({"operation_id": "r", "minor": 299}))
        .await;
    assert_eq!(
        other.expect(StatusCode::CONFLICT).code(),
        "payment_mismatch"
    );
    // An operation id of another kind.
    let other = shop
        .operate(id, "refund", json!({"operation_id": "c", "minor": 300}))
        .await;
    assert_eq!(
        other.expect(StatusCode::CONFLICT).code(),
        "payment_mismatch"
    );
}

#[tokio::test]
async fn captures_at_once_take_the_money_once() {
    let shop = shop().await;
    let id = new_id();
    shop.authorise(id, 700, "manual")
        .await
        .expect(StatusCode::OK);
    let captures =
        (0..16).map(|n| shop.operate(id, "capture", json!({"operation_id": format!("c{n}")})));
    for answer in join(captures).await {
        answer.expect(StatusCode::OK);
    }
    assert_eq!(shop.balance("captured").await, 700);
    assert_eq!(shop.published().await, ["payment.captured.v1"]);
}

#[tokio::test]
async fn a_payment_is_shown_to_its_payer_and_to_administrators_only() {
    let shop = shop().await;
    let id = new_id();
    shop.authorise(id, 500, "manual")
        .await
        .expect(StatusCode::OK);
    let get = |token: String| {
        let call = testkit::get(&format!("/v1/payments/{id}")).bearer(&token);
        call.send(&shop.router)
    };
    let stranger = new_id();
    let shown = get(shop.tokens.customer(USER)).await.expect(StatusCode::OK);
    assert_eq!(
        shown.json::<Value>()["amount"],
        json!({"minor": 500, "currency": "EUR"})
    );
    get(shop.tokens.admin(stranger))
        .await
        .expect(StatusCode::OK);
    get(shop.tokens.customer(stranger))
        .await
        .expect(StatusCode::NOT_FOUND);
    let nobody = testkit::get(&format!("/v1/payments/{id}"))
        .send(&shop.router)
        .await;
    nobody.expect(StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn internal_calls_need_the_internal_token() {
    let shop = shop().await;
    let path = format!("/internal/v1/payments/{}/void", new_id());
    let body = json!({"operation_id": "x"});
    let customer = shop.tokens.admin(USER);
    for call in [testkit::post(&path), testkit::post(&path).bearer(&customer)] {
        call.json(&body)
            .send(&shop.router)
            .await
            .expect(StatusCode::UNAUTHORIZED);
    }
    testkit::post(&path)
        .bearer(TOKEN)
        .json(&body)
        .send(&shop.router)
        .await
        .expect(StatusCode::NO_CONTENT);
}

/// All at once, each on its own task.
async fn join<F: Future<Output = testkit::Answer>>(
    calls: impl Iterator<Item = F>,
) -> Vec<testkit::Answer> {
    futures::future::join_all(calls).await
}

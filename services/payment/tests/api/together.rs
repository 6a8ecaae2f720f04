//! Payments that are requested at the same time are committed together, and each is what it would have been alone.

use axum::http::StatusCode;
use futures::future::join_all;
use serde_json::Value;
use uuid::Uuid;

use super::double::METHOD;
use super::support::{Shop, new_id, shop};

const PAYERS: usize = 24;
/// A statement that takes long, on a busy machine, leaves the others alone: then the next round counts.
const ROUNDS: usize = 5;

/// How many transactions made these payments.
async fn transactions(shop: &Shop, ids: &[Uuid]) -> i64 {
    let sql = "select count(distinct xmin::text) from payment.payments where payment_id = any($1)";
    let count = sqlx::query_scalar(sql).bind(ids);
    count.fetch_one(&shop.db.pool).await.unwrap()
}

#[tokio::test]
async fn payments_that_are_requested_at_the_same_time_share_transactions() {
    let shop = &shop().await;
    let mut fewest = i64::MAX;
    for _ in 0..ROUNDS {
        let ids: Vec<Uuid> = (0..PAYERS).map(|_| new_id()).collect();
        let payers = ids.iter().map(|id| shop.authorise(*id, 500, "manual"));
        for answer in join_all(payers).await {
            let payment: Value = answer.expect(StatusCode::OK).json();
            assert_eq!(payment["status"], "authorised");
        }
        fewest = fewest.min(transactions(shop, &ids).await);
    }
    assert!(fewest <= 4, "{fewest} transactions");
    let all = i64::try_from(PAYERS * ROUNDS).unwrap();
    assert_eq!(shop.balance("authorised").await, 500 * all);
    let done: i64 = sqlx::query_scalar(
        "select count(*) from payment.operations where state = 'done' and due_at is null",
    )
    .fetch_one(&shop.db.pool)
    .await
    .unwrap();
    assert_eq!(done, all);
}

#[tokio::test]
async fn an_id_that_comes_with_itself_is_one_payment_and_other_terms_are_refused() {
    let shop = &shop().await;
    let (first, twice) = (new_id(), new_id());
    let answers = join_all([
        shop.authorise(first, 100, "manual"),
        shop.authorise(twice, 500, "manual"),
        shop.authorise(twice, 500, "manual"),
        shop.authorise(twice, 501, "manual"),
    ])
    .await;
    let statuses: Vec<u16> = answers
        .iter()
        .map(|answer| answer.status.as_u16())
        .collect();
    assert_eq!(statuses, [200, 200, 200, 409]);
    assert_eq!(shop.balance("authorised").await, 600);
}

#[tokio::test]
async fn those_that_come_together_are_each_asked_of_their_own_provider_once() {
    let shop = &shop().await;
    let ids: Vec<Uuid> = (0..8).map(|_| new_id()).collect();
    let methods = ["manual", METHOD];
    let payers = ids
        .iter()
        .zip(methods.into_iter().cycle())
        .map(|(id, method)| shop.authorise(*id, 500, method));
    for answer in join_all(payers).await {
        let payment: Value = answer.expect(StatusCode::OK).json();
        assert_eq!(payment["status"], "authorised");
    }
    for (id, method) in ids.iter().zip(methods.into_iter().cycle()) {
        let called = shop.provider.account(&id.to_string()).authorisations;
        assert_eq!(called, u32::from(method == METHOD));
    }
    assert_eq!(shop.open().await, 0);
    // What the response could not promise is told by an event.
    assert_eq!(shop.published().await, ["payment.authorised.v1"; 4]);
}

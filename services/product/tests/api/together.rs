//! Buyers who come at the same time are stored by one statement, and each gets what it would have got alone.

use axum::http::StatusCode;
use futures::future::join_all;
use serde_json::{Value, json};
use testkit::put;
use uuid::Uuid;

use crate::support::{INTERNAL, TestApp, start};

const BUYERS: u128 = 24;
/// A statement that takes long, on a busy machine, leaves the others alone: then the next round counts.
const ROUNDS: u128 = 5;

fn hold(round: u128, n: u128) -> Uuid {
    Uuid::from_u128(0x1000 * (round + 1) + n)
}

/// How many transactions wrote the reservations of a round, as they are now.
async fn transactions(app: &TestApp, round: u128) -> i64 {
    let sql = "select count(distinct xmin::text) from product.reservations where reservation_id between $1 and $2";
    let (first, last) = (hold(round, 0), hold(round, BUYERS));
    let count = sqlx::query_scalar(sql).bind(first).bind(last);
    count.fetch_one(&app.db.pool).await.unwrap()
}

#[tokio::test]
async fn buyers_who_come_at_the_same_time_share_the_transactions_of_their_holds_and_claims() {
    let app = &start().await;
    let product = app.stocked_product("HOT", 1_000).await;
    let mut fewest = (i64::MAX, i64::MAX);
    for round in 0..ROUNDS {
        let wanted = [(product, 1)];
        let holds = (0..BUYERS).map(|n| app.reserve(hold(round, n), &wanted));
        for answer in join_all(holds).await {
            answer.expect(StatusCode::OK);
        }
        let held_by = transactions(app, round).await;
        let claims = (0..BUYERS).map(|n| app.claim(hold(round, n), hold(round, n)));
        for answer in join_all(claims).await {
            answer.expect(StatusCode::OK);
        }
        fewest.0 = fewest.0.min(held_by);
        fewest.1 = fewest.1.min(transactions(app, round).await);
    }
    assert!(fewest.0 <= 4 && fewest.1 <= 4, "{fewest:?}");
    let sold = i64::try_from(BUYERS * ROUNDS).unwrap();
    assert_eq!(app.stock(product).await, (1_000 - sold, 0));
}

async fn reserve_in(
    app: &TestApp,
    id: Uuid,
    product: Uuid,
    quantity: u32,
    currency: &str,
) -> (StatusCode, Value) {
    let items = json!([{ "product_id": product, "quantity": quantity }]);
    let body = json!({ "items": items, "currency": currency, "ttl_secs": 600 });
    let call = put(&format!("/internal/v1/reservations/{id}"));
    let answer = call.bearer(INTERNAL).json(&body).send(&app.router).await;
    (answer.status, answer.json())
}

#[tokio::test]
async fn one_that_is_refused_takes_nothing_from_those_that_came_with_it() {
    let app = &start().await;
    let (tea, cup) = (
        app.stocked_product("TEA", 100).await,
        app.stocked_product("CUP", 3).await,
    );
    let nothing = Uuid::from_u128(0xdead);
    let (first, same) = (hold(0, 0), hold(0, 9));
    let answers = join_all([
        reserve_in(app, first, tea, 1, "EUR"),
        reserve_in(app, hold(0, 1), tea, 2, "EUR"),
        reserve_in(app, hold(0, 2), cup, 4, "EUR"),
        reserve_in(app, hold(0, 3), cup, 3, "EUR"),
        reserve_in(app, hold(0, 4), nothing, 1, "EUR"),
        reserve_in(app, hold(0, 5), tea, 1, "USD"),
        // The same id twice: the same answer for the same items, and a refusal for others.
        reserve_in(app, same, tea, 5, "EUR"),
        reserve_in(app, same, tea, 5, "EUR"),
        reserve_in(app, same, tea, 6, "EUR"),
        reserve_in(app, hold(0, 6), tea, 7, "EUR"),
    ])
    .await;
    let codes = answers.iter().map(|(status, body)| {
        let total = body["total"]["minor"].as_i64().unwrap_or(0);
        (status.as_u16(), body["code"].as_str().unwrap_or(""), total)
    });
    let expected = [
        (200, "", 1_000),
        (200, "", 2_000),
        (409, "out_of_stock", 0),
        (200, "", 3_000),
        (422, "item_refused", 0),
        (422, "item_refused", 0),
        (200, "", 5_000),
        (200, "", 5_000),
        (409, "reservation_mismatch", 0),
        (200, "", 7_000),
    ];
    assert_eq!(codes.collect::<Vec<_>>(), expected);
    // Decided on what was read, whatever came with it: three, or none once they are held.
    let available = answers[2].1["errors"][0]["available"].as_i64();
    assert!(matches!(available, Some(3 | 0)), "{:?}", answers[2]);
    assert_eq!(app.stock(tea).await, (100, 15));
    assert_eq!(app.stock(cup).await, (3, 3));
}

#[tokio::test]
async fn claims_that_come_together_are_each_for_their_own_order() {
    let app = &start().await;
    let product = app.stocked_product("ONE", 10).await;
    for n in 0..3 {
        app.reserve(hold(0, n), &[(product, 1)])
            .await
            .expect(StatusCode::OK);
    }
    let (ada, ben) = (Uuid::from_u128(0xada), Uuid::from_u128(0xbe));
    let claims = [
        (hold(0, 0), ada),
        (hold(0, 1), ada),
        (hold(0, 2), ben),
        (hold(0, 2), ada),
        (hold(0, 1), ada),
        (hold(0, 7), ada),
    ];
    let answers = join_all(claims.map(|(id, order)| app.claim(id, order))).await;
    let statuses: Vec<u16> = answers
        .iter()
        .map(|answer| answer.status.as_u16())
        .collect();
    assert_eq!(statuses, [200, 200, 200, 409, 200, 404]);
    let sold: Vec<(Uuid, Uuid)> = sqlx::query_as(
        "select reservation_id, order_id from product.reservations order by reservation_id",
    )
    .fetch_all(&app.db.pool)
    .await
    .unwrap();
    assert_eq!(
        sold,
        [(hold(0, 0), ada), (hold(0, 1), ada), (hold(0, 2), ben)]
    );
    assert_eq!(app.stock(product).await, (7, 0));
}

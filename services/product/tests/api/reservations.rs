use axum::http::StatusCode;
use chrono::TimeDelta;
use futures::future::join_all;
use product::domain::reservation::Command;
use product::domain::stock::StockChange;
use product::store::reservations::{Outcome, execute};
use product::sweep::ReservationSweep;
use serde_json::Value;
use uuid::Uuid;
use vocabulary::{OrderId, ReservationId};

use crate::support::start;

const HOLD: Uuid = Uuid::from_u128(0xa1);
const ORDER: Uuid = Uuid::from_u128(0xb1);

#[tokio::test]
async fn a_hold_fixes_prices_and_reserves_the_stock() {
    let app = start().await;
    let (tea, cup) = (
        app.stocked_product("TEA", 5).await,
        app.stocked_product("CUP", 5).await,
    );
    let held = app.reserve(HOLD, &[(tea, 2), (cup, 1), (tea, 1)]).await;
    let held: Value = held.expect(StatusCode::OK).json();
    assert_eq!(held["status"], "held");
    assert_eq!(held["total"]["minor"], 4_000);
    let lines = held["lines"].as_array().unwrap();
    let tea_line = lines.iter().find(|line| line["sku"] == "TEA").unwrap();
    assert_eq!(
        tea_line["quantity"], 3,
        "lines of one product are one: {held}"
    );
    assert_eq!(app.stock(tea).await, (5, 3));
    assert_eq!(app.stock(cup).await, (5, 1));
}

#[tokio::test]
async fn sixty_four_buyers_of_twenty_pieces_get_twenty() {
    let app = start().await;
    let product = app.stocked_product("SCARCE", 20).await;
    let holds = (0..64_u128).map(|n| Uuid::from_u128(0x100 + n));
    let wanted = [(product, 1)];
    let answers = join_all(holds.map(|hold| app.reserve(hold, &wanted))).await;
    let held = answers
        .iter()
        .filter(|answer| answer.status == StatusCode::OK)
        .count();
    assert_eq!(held, 20);
    for refused in answers
        .iter()
        .filter(|answer| answer.status != StatusCode::OK)
    {
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (StatusCode::CONFLICT, "out_of_stock")
        );
    }
    assert_eq!(app.stock(product).await, (20, 20));
}

#[tokio::test]
async fn two_baskets_in_opposite_order_do_not_deadlock() {
    let app = &start().await;
    let (a, b) = (
        app.stocked_product("A", 1_000).await,
        app.stocked_product("B", 1_000).await,
    );
    let (there, back) = ([(a, 1), (b, 1)], [(b, 1), (a, 1)]);
    let calls = (0..40_u128).map(|n| {
        let items = if n % 2 == 0 { &there } else { &back };
        app.reserve(Uuid::from_u128(0x200 + n), items)
    });
    for answer in join_all(calls).await {
        answer.expect(StatusCode::OK);
    }
    assert_eq!(app.stock(a).await, (1_000, 40));
    // Claims and further holds, on the same rows.
    let claims = (0..40_u128).map(|n| async move {
        let (hold, order) = (0x200 + n, 0x400 + n);
        app.claim(Uuid::from_u128(hold), Uuid::from_u128(order))
            .await
    });
    let holds = (0..40_u128).map(|n| {
        let items = if n % 2 == 0 { &back } else { &there };
        app.reserve(Uuid::from_u128(0x300 + n), items)
    });
    let (claimed, held) = tokio::join!(join_all(claims), join_all(holds));
    for answer in claimed.into_iter().chain(held) {
        answer.expect(StatusCode::OK);
    }
    assert_eq!(app.stock(a).await, (960, 40));
    assert_eq!(app.stock(b).await, (960, 40));
}

#[tokio::test]
async fn every_step_may_be_repeated() {
    let app = start().await;
    let product = app.stocked_product("ONE", 3).await;
    let first: Value = app
        .reserve(HOLD, &[(product, 2)])
        .await
        .expect(StatusCode::OK)
        .json();
    let again: Value = app
        .reserve(HOLD, &[(product, 2)])
        .await
        .expect(StatusCode::OK)
        .json();
    assert_eq!(first, again);
    let other = app
        .reserve(HOLD, &[(product, 1)])
        .await
        .expect(StatusCode::CONFLICT);
    assert_eq!(other.code(), "reservation_mismatch");
    app.claim(HOLD, ORDER).await.expect(StatusCode::OK);
    app.claim(HOLD, ORDER).await.expect(StatusCode::OK);
    let another = app
        .claim(HOLD, Uuid::from_u128(0xb2))
        .await
        .expect(StatusCode::CONFLICT);
    assert_eq!(another.code(), "reservation_mismatch");
    assert_eq!(app.stock(product).await, (1, 0));
}

#[tokio::test]
async fn a_release_that_overtakes_its_reserve_leaves_nothing_to_hold() {
    let app = start().await;
    let product = app.stocked_product("LATE", 3).await;
    app.release(HOLD).await.expect(StatusCode::NO_CONTENT);
    let late = app
        .reserve(HOLD, &[(product, 1)])
        .await
        .expect(StatusCode::CONFLICT);
    assert_eq!(late.code(), "reservation_expired");
    assert_eq!(app.stock(product).await, (3, 0));
}

#[tokio::test]
async fn a_release_gives_back_what_is_held_or_claimed_once() {
    let app = start().await;
    let product = app.stocked_product("BACK", 3).await;
    app.reserve(HOLD, &[(product, 2)])
        .await
        .expect(StatusCode::OK);
    for _ in 0..2 {
        app.release(HOLD).await.expect(StatusCode::NO_CONTENT);
        assert_eq!(app.stock(product).await, (3, 0));
    }
    let sold = Uuid::from_u128(0xa2);
    app.reserve(sold, &[(product, 2)])
        .await
        .expect(StatusCode::OK);
    app.claim(sold, ORDER).await.expect(StatusCode::OK);
    for _ in 0..2 {
        app.release(sold).await.expect(StatusCode::NO_CONTENT);
        assert_eq!(app.stock(product).await, (3, 0));
    }
}

#[tokio::test]
async fn a_hold_that_expired_is_swept_and_cannot_be_claimed() {
    let app = start().await;
    let product = app.stocked_product("SLOW", 3).await;
    app.reserve(HOLD, &[(product, 2)])
        .await
        .expect(StatusCode::OK);
    app.clock.advance(TimeDelta::seconds(601));
    let late = app.claim(HOLD, ORDER).await.expect(StatusCode::CONFLICT);
    assert_eq!(late.code(), "reservation_expired");
    assert_eq!(ReservationSweep::new(&app.state).once().await.unwrap(), 1);
    assert_eq!(ReservationSweep::new(&app.state).once().await.unwrap(), 0);
    assert_eq!(app.stock(product).await, (3, 0));
}

#[tokio::test]
async fn a_cancelled_order_is_restocked_once() {
    let app = start().await;
    let product = app.stocked_product("RETURN", 3).await;
    app.reserve(HOLD, &[(product, 2)])
        .await
        .expect(StatusCode::OK);
    app.claim(HOLD, ORDER).await.expect(StatusCode::OK);
    let mut conn = app.db.pool.acquire().await.unwrap();
    let (hold, order) = (ReservationId::from_uuid(HOLD), OrderId::from_uuid(ORDER));
    let now = app.state.core.now();
    for expected in [Outcome::Moved(StockChange::Restock), Outcome::Unchanged] {
        let restocked = execute(&mut conn, hold, Command::Restock(order), now).await;
        assert_eq!(restocked.unwrap(), expected);
    }
    assert_eq!(app.stock(product).await, (3, 0));
}

#[tokio::test]
async fn the_table_itself_refuses_to_oversell() {
    let app = start().await;
    let product = app.stocked_product("LAST", 1).await;
    let oversold = sqlx::query("update product.stock set reserved = 2 where product_id = $1")
        .bind(product)
        .execute(&app.db.pool)
        .await;
    assert!(
        oversold
            .unwrap_err()
            .to_string()
            .contains("stock_reserved_on_hand")
    );
}

#[tokio::test]
async fn internal_routes_require_the_internal_token() {
    let app = start().await;
    let path = format!("/internal/v1/reservations/{HOLD}/release");
    for token in [app.admin(), "guess".to_owned()] {
        let call = testkit::post(&path).bearer(&token);
        call.send(&app.router)
            .await
            .expect(StatusCode::UNAUTHORIZED);
    }
    testkit::post(&path)
        .send(&app.router)
        .await
        .expect(StatusCode::UNAUTHORIZED);
}

use axum::http::StatusCode;
use chrono::TimeDelta;
use futures::future::join_all;
use product::domain::reservation::Command;
use product::domain::stock::StockChange;
use product::store::reservations::{Outcome, execute};
use serde_json::Value;
use uuid::Uuid;
use vocabulary::{OrderId, ReservationId};

use crate::support::room;

const HOLD: Uuid = Uuid::from_u128(0xa1);
const ORDER: Uuid = Uuid::from_u128(0xb1);

#[tokio::test]
async fn a_hold_freezes_prices_and_promises_the_stock() {
    let room = room().await;
    let (tea, cup) = (room.shelve("TEA", 5).await, room.shelve("CUP", 5).await);
    let held = room.reserve(HOLD, &[(tea, 2), (cup, 1), (tea, 1)]).await;
    let held: Value = held.expect(StatusCode::OK).json();
    assert_eq!(held["status"], "held");
    assert_eq!(held["total"]["minor"], 4_000);
    let lines = held["lines"].as_array().unwrap();
    let tea_line = lines.iter().find(|line| line["sku"] == "TEA").unwrap();
    assert_eq!(
        tea_line["quantity"], 3,
        "lines of one product are one: {held}"
    );
    assert_eq!(room.stock(tea).await, (5, 3));
    assert_eq!(room.stock(cup).await, (5, 1));
}

#[tokio::test]
async fn sixty_four_buyers_of_twenty_pieces_get_twenty() {
    let room = room().await;
    let product = room.shelve("SCARCE", 20).await;
    let holds = (0..64_u128).map(|n| Uuid::from_u128(0x100 + n));
    let wanted = [(product, 1)];
    let answers = join_all(holds.map(|hold| room.reserve(hold, &wanted))).await;
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
    assert_eq!(room.stock(product).await, (20, 20));
}

#[tokio::test]
async fn two_baskets_in_opposite_order_do_not_deadlock() {
    let room = &room().await;
    let (a, b) = (room.shelve("A", 1_000).await, room.shelve("B", 1_000).await);
    let (there, back) = ([(a, 1), (b, 1)], [(b, 1), (a, 1)]);
    let calls = (0..40_u128).map(|n| {
        let items = if n % 2 == 0 { &there } else { &back };
        room.reserve(Uuid::from_u128(0x200 + n), items)
    });
    for answer in join_all(calls).await {
        answer.expect(StatusCode::OK);
    }
    assert_eq!(room.stock(a).await, (1_000, 40));
    // Claims and further holds, on the same rows.
    let claims = (0..40_u128).map(|n| async move {
        let (hold, order) = (0x200 + n, 0x400 + n);
        room.claim(Uuid::from_u128(hold), Uuid::from_u128(order))
            .await
    });
    let holds = (0..40_u128).map(|n| {
        let items = if n % 2 == 0 { &back } else { &there };
        room.reserve(Uuid::from_u128(0x300 + n), items)
    });
    let (claimed, held) = tokio::join!(join_all(claims), join_all(holds));
    for answer in claimed.into_iter().chain(held) {
        answer.expect(StatusCode::OK);
    }
    assert_eq!(room.stock(a).await, (960, 40));
    assert_eq!(room.stock(b).await, (960, 40));
}

#[tokio::test]
async fn every_step_may_be_repeated() {
    let room = room().await;
    let product = room.shelve("ONE", 3).await;
    let first: Value = room
        .reserve(HOLD, &[(product, 2)])
        .await
        .expect(StatusCode::OK)
        .json();
    let again: Value = room
        .reserve(HOLD, &[(product, 2)])
        .await
        .expect(StatusCode::OK)
        .json();
    assert_eq!(first, again);
    let other = room
        .reserve(HOLD, &[(product, 1)])
        .await
        .expect(StatusCode::CONFLICT);
    assert_eq!(other.code(), "reservation_mismatch");
    room.claim(HOLD, ORDER).await.expect(StatusCode::OK);
    room.claim(HOLD, ORDER).await.expect(StatusCode::OK);
    let another = room
        .claim(HOLD, Uuid::from_u128(0xb2))
        .await
        .expect(StatusCode::CONFLICT);
    assert_eq!(another.code(), "reservation_mismatch");
    assert_eq!(room.stock(product).await, (1, 0));
}

#[tokio::test]
async fn a_release_that_overtakes_its_reserve_leaves_nothing_to_hold() {
    let room = room().await;
    let product = room.shelve("LATE", 3).await;
    room.release(HOLD).await.expect(StatusCode::NO_CONTENT);
    let late = room
        .reserve(HOLD, &[(product, 1)])
        .await
        .expect(StatusCode::CONFLICT);
    assert_eq!(late.code(), "reservation_expired");
    assert_eq!(room.stock(product).await, (3, 0));
}

#[tokio::test]
async fn a_release_hands_back_what_is_held_or_claimed_once() {
    let room = room().await;
    let product = room.shelve("BACK", 3).await;
    room.reserve(HOLD, &[(product, 2)])
        .await
        .expect(StatusCode::OK);
    for _ in 0..2 {
        room.release(HOLD).await.expect(StatusCode::NO_CONTENT);
        assert_eq!(room.stock(product).await, (3, 0));
    }
    let sold = Uuid::from_u128(0xa2);
    room.reserve(sold, &[(product, 2)])
        .await
        .expect(StatusCode::OK);
    room.claim(sold, ORDER).await.expect(StatusCode::OK);
    for _ in 0..2 {
        room.release(sold).await.expect(StatusCode::NO_CONTENT);
        assert_eq!(room.stock(product).await, (3, 0));
    }
}

#[tokio::test]
async fn a_hold_that_ran_out_is_swept_and_cannot_be_claimed() {
    let room = room().await;
    let product = room.shelve("SLOW", 3).await;
    room.reserve(HOLD, &[(product, 2)])
        .await
        .expect(StatusCode::OK);
    room.clock.advance(TimeDelta::seconds(601));
    let late = room.claim(HOLD, ORDER).await.expect(StatusCode::CONFLICT);
    assert_eq!(late.code(), "reservation_expired");
    assert_eq!(product::sweep::once(&room.app).await.unwrap(), 1);
    assert_eq!(product::sweep::once(&room.app).await.unwrap(), 0);
    assert_eq!(room.stock(product).await, (3, 0));
}

#[tokio::test]
async fn a_cancelled_order_is_restocked_once() {
    let room = room().await;
    let product = room.shelve("RETURN", 3).await;
    room.reserve(HOLD, &[(product, 2)])
        .await
        .expect(StatusCode::OK);
    room.claim(HOLD, ORDER).await.expect(StatusCode::OK);
    let mut conn = room.db.pool.acquire().await.unwrap();
    let (hold, order) = (ReservationId::from_uuid(HOLD), OrderId::from_uuid(ORDER));
    let now = room.app.clock.now();
    for expected in [Outcome::Moved(StockChange::Restock), Outcome::Unchanged] {
        let restocked = execute(&mut conn, hold, Command::Restock(order), now).await;
        assert_eq!(restocked.unwrap(), expected);
    }
    assert_eq!(room.stock(product).await, (3, 0));
}

#[tokio::test]
async fn the_table_itself_refuses_to_oversell() {
    let room = room().await;
    let product = room.shelve("LAST", 1).await;
    let oversold = sqlx::query("update product.stock set reserved = 2 where product_id = $1")
        .bind(product)
        .execute(&room.db.pool)
        .await;
    assert!(
        oversold
            .unwrap_err()
            .to_string()
            .contains("stock_reserved_on_hand")
    );
}

#[tokio::test]
async fn internal_routes_want_the_internal_token() {
    let room = room().await;
    let path = format!("/internal/v1/reservations/{HOLD}/release");
    for token in [room.admin(), "guess".to_owned()] {
        let call = testkit::post(&path).bearer(&token);
        call.send(&room.router)
            .await
            .expect(StatusCode::UNAUTHORIZED);
    }
    testkit::post(&path)
        .send(&room.router)
        .await
        .expect(StatusCode::UNAUTHORIZED);
}

//! Once per key.

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::join_all;
use outbox::idempotency::{Answer, Begin, Key, abandon, begin, finish, sweep};

use crate::world::{MIGRATOR, SCHEMA};

fn key(body: &str) -> Key {
    Key::new("ada", "POST /v1/orders", "k-1", body).unwrap()
}

fn noon() -> DateTime<Utc> {
    "2026-01-31T12:00:00Z".parse().unwrap()
}

fn created() -> Answer {
    Answer {
        status: 201,
        location: Some("/v1/orders/1".into()),
        body: br#"{"b":1,"a":2}"#.into(),
    }
}

#[tokio::test]
async fn of_a_hundred_twins_one_works_and_the_rest_wait_for_its_answer() {
    let db = testkit::db(&MIGRATOR).await;
    let twins = join_all((0..100).map(|_| async {
        let mut conn = db.pool.acquire().await.unwrap();
        begin(&mut conn, SCHEMA, &key("{}"), noon()).await.unwrap()
    }))
    .await;
    assert_eq!(
        twins.iter().filter(|twin| **twin == Begin::Fresh).count(),
        1
    );
    assert_eq!(
        twins
            .iter()
            .filter(|twin| **twin == Begin::InFlight)
            .count(),
        99
    );

    let mut conn = db.pool.acquire().await.unwrap();
    finish(&mut conn, SCHEMA, &key("{}"), &created())
        .await
        .unwrap();
    let again = begin(&mut conn, SCHEMA, &key("{}"), noon()).await.unwrap();
    assert_eq!(again, Begin::Replay(created()));
}

#[tokio::test]
async fn a_key_means_one_request_of_one_caller() {
    let db = testkit::db(&MIGRATOR).await;
    let mut conn = db.pool.acquire().await.unwrap();
    assert_eq!(
        begin(&mut conn, SCHEMA, &key("a"), noon()).await.unwrap(),
        Begin::Fresh
    );
    assert_eq!(
        begin(&mut conn, SCHEMA, &key("b"), noon()).await.unwrap(),
        Begin::Mismatch
    );
    finish(&mut conn, SCHEMA, &key("a"), &created())
        .await
        .unwrap();
    assert_eq!(
        begin(&mut conn, SCHEMA, &key("b"), noon()).await.unwrap(),
        Begin::Mismatch
    );
    let grace = Key {
        caller: "grace".into(),
        ..key("b")
    };
    assert_eq!(
        begin(&mut conn, SCHEMA, &grace, noon()).await.unwrap(),
        Begin::Fresh
    );
}

#[tokio::test]
async fn a_request_that_died_is_taken_over_by_one_after_a_minute() {
    let db = testkit::db(&MIGRATOR).await;
    let mut conn = db.pool.acquire().await.unwrap();
    begin(&mut conn, SCHEMA, &key("{}"), noon()).await.unwrap();
    let soon = noon() + TimeDelta::seconds(59);
    assert_eq!(
        begin(&mut conn, SCHEMA, &key("{}"), soon).await.unwrap(),
        Begin::InFlight
    );
    let later = noon() + TimeDelta::seconds(61);
    let heirs = join_all((0..20).map(|_| async {
        let mut conn = db.pool.acquire().await.unwrap();
        begin(&mut conn, SCHEMA, &key("{}"), later).await.unwrap()
    }))
    .await;
    assert_eq!(
        heirs.iter().filter(|heir| **heir == Begin::Fresh).count(),
        1
    );
    // Nobody takes it over for something else.
    let much_later = noon() + TimeDelta::hours(1);
    assert_eq!(
        begin(&mut conn, SCHEMA, &key("x"), much_later)
            .await
            .unwrap(),
        Begin::Mismatch
    );
}

#[tokio::test]
async fn a_key_given_back_is_free_and_an_answered_one_is_not_given_back() {
    let db = testkit::db(&MIGRATOR).await;
    let mut conn = db.pool.acquire().await.unwrap();
    begin(&mut conn, SCHEMA, &key("{}"), noon()).await.unwrap();
    abandon(&mut conn, SCHEMA, &key("{}")).await.unwrap();
    assert_eq!(
        begin(&mut conn, SCHEMA, &key("other"), noon())
            .await
            .unwrap(),
        Begin::Fresh
    );
    finish(&mut conn, SCHEMA, &key("other"), &created())
        .await
        .unwrap();
    abandon(&mut conn, SCHEMA, &key("other")).await.unwrap();
    let again = begin(&mut conn, SCHEMA, &key("other"), noon())
        .await
        .unwrap();
    assert_eq!(again, Begin::Replay(created()));
}

#[tokio::test]
async fn a_day_later_a_key_is_forgotten() {
    let db = testkit::db(&MIGRATOR).await;
    let mut conn = db.pool.acquire().await.unwrap();
    begin(&mut conn, SCHEMA, &key("{}"), noon()).await.unwrap();
    finish(&mut conn, SCHEMA, &key("{}"), &created())
        .await
        .unwrap();
    let tomorrow = noon() + TimeDelta::hours(25);
    assert_eq!(
        begin(&mut conn, SCHEMA, &key("new"), tomorrow)
            .await
            .unwrap(),
        Begin::Fresh
    );
    sweep(&mut conn, SCHEMA, tomorrow + TimeDelta::hours(25))
        .await
        .unwrap();
    let left: i64 = sqlx::query_scalar("select count(*) from orders.idempotency_keys")
        .fetch_one(&mut *conn)
        .await
        .unwrap();
    assert_eq!(left, 0);
}

#[test]
fn a_key_is_1_to_255_visible_characters() {
    for bad in ["", "a b", "k\u{e9}", "a\n", &"k".repeat(256)] {
        assert_eq!(Key::new("ada", "POST /", bad, ""), None, "{bad:?}");
    }
    assert!(Key::new("ada", "POST /", &"k".repeat(255), "").is_some());
}

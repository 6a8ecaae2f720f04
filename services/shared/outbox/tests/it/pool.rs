//! The pool's bounds.

use vocabulary::{Currency, OrderId};

use crate::world::{MIGRATOR, new_order};

#[tokio::test]
async fn every_wait_is_bounded() {
    let db = testkit::db(&MIGRATOR).await;
    let pool = outbox::pool::connect(&db.url, 2, "bounded").unwrap();
    for setting in [
        "statement_timeout",
        "lock_timeout",
        "idle_in_transaction_session_timeout",
    ] {
        let value: String = sqlx::query_scalar("select current_setting($1)")
            .bind(setting)
            .fetch_one(&pool)
            .await
            .unwrap();
        assert_ne!(value, "0", "{setting}");
    }
}

#[tokio::test]
async fn requests_that_are_dropped_leave_no_transaction_open() {
    let db = testkit::db(&MIGRATOR).await;
    let pool = outbox::pool::connect(&db.url, 5, "dropped").unwrap();
    for _ in 0..50 {
        let work = async {
            let mut tx = outbox::pool::begin(&pool).await.unwrap();
            sqlx::query("select pg_sleep(1)")
                .execute(&mut *tx)
                .await
                .unwrap();
        };
        let _ = tokio::time::timeout(std::time::Duration::from_millis(2), work).await;
    }
    testkit::eventually("no transaction is open", || async {
        let sql = "select count(*) from pg_stat_activity
                   where application_name = 'dropped' and datname = current_database()
                     and state like 'idle in transaction%'";
        let open: i64 = sqlx::query_scalar(sql).fetch_one(&db.pool).await.ok()?;
        (open == 0).then_some(())
    })
    .await;
}

/// A request whose client hangs up is dropped wherever it waits; here while it begins its transaction, at each of its polls.
#[tokio::test]
async fn a_begin_that_is_dropped_does_not_swallow_what_is_written_next() {
    use std::future::{Future, poll_fn};
    use std::task::Poll;

    let db = testkit::db(&MIGRATOR).await;
    let pool = outbox::pool::connect(&db.url, 1, "begun").unwrap();
    sqlx::query("create table written (n bigint)")
        .execute(&pool)
        .await
        .unwrap();
    for polls in 1..6 {
        testkit::eventually("the connection is idle", || async {
            (pool.num_idle() == 1).then_some(())
        })
        .await;
        let mut begin = Box::pin(outbox::pool::begin(&pool));
        let mut left = polls;
        let whole = poll_fn(|context| {
            left -= 1;
            match begin.as_mut().poll(context) {
                Poll::Ready(result) => Poll::Ready(Some(result)),
                Poll::Pending if left == 0 => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            }
        });
        drop(whole.await);
        drop(begin);
        sqlx::query("insert into written values ($1)")
            .bind(polls)
            .execute(&pool)
            .await
            .unwrap();
        let seen: i64 = sqlx::query_scalar("select count(*) from written where n = $1")
            .bind(polls)
            .fetch_one(&db.pool)
            .await
            .unwrap();
        assert_eq!(
            seen, 1,
            "written after a begin that was dropped at poll {polls}"
        );
    }
}

#[tokio::test]
async fn a_pool_works_again_after_its_connections_were_cut() {
    let db = testkit::db(&MIGRATOR).await;
    let pool = outbox::pool::connect(&db.url, 5, "cut").unwrap();
    sqlx::query("select 1").execute(&pool).await.unwrap();
    db.cut_connections().await;
    testkit::eventually("the pool answers", || async {
        sqlx::query("select 1").execute(&pool).await.ok()
    })
    .await;
}

#[tokio::test]
async fn ids_and_currencies_are_columns() {
    let db = testkit::db(&MIGRATOR).await;
    let (order, eur) = (new_order(), Currency::new("EUR").unwrap());
    let read: (OrderId, Currency, Vec<OrderId>) =
        sqlx::query_as("select $1::uuid, $2::char(3), array[$1::uuid]")
            .bind(order)
            .bind(eur)
            .fetch_one(&db.pool)
            .await
            .unwrap();
    assert_eq!(read, (order, eur, vec![order]));
}

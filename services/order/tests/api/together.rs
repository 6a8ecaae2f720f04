//! Checkouts that reach a stage at the same time are stored together, and each as it would have been alone.

use futures::future::join_all;
use futures::poll;
use order::checkout::domain::{Checkout, Effect};
use order::checkout::drive::{self, Started};

use super::support::{Shop, shop};

const BUYERS: usize = 24;
/// A statement that takes long, on a busy machine, leaves the others alone: then the next round counts.
const ROUNDS: usize = 5;

async fn started(shop: &Shop, key: &str) -> Checkout {
    let checkout = shop.checkout(key, 1, "manual");
    match drive::start(&shop.app, checkout).await.unwrap() {
        Started::Ours(checkout) => *checkout,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn checkouts_that_reserve_at_the_same_time_share_the_transactions_that_store_it() {
    let shop = &shop(1_000).await;
    let mut fewest = i64::MAX;
    for round in 0..ROUNDS {
        let mut checkouts = Vec::new();
        for buyer in 0..BUYERS {
            checkouts.push(started(shop, &format!("{round}-{buyer}")).await);
        }
        let steps = checkouts
            .iter_mut()
            .map(|checkout| drive::step(&shop.app, checkout, Effect::Reserve));
        for step in join_all(steps).await {
            assert_eq!(step.unwrap().next, Some(Effect::Authorise));
        }
        for checkout in &checkouts {
            assert_eq!(
                (checkout.persisted.stage.as_str(), checkout.version),
                ("reserved", 2)
            );
        }
        let ids: Vec<_> = checkouts
            .iter()
            .map(|checkout| checkout.id.as_uuid())
            .collect();
        let (transactions, numbers): (i64, i64) = sqlx::query_as(
            "select count(distinct xmin::text), count(distinct frozen ->> 'number') from orders.checkouts
             where checkout_id = any($1) and stage = 'reserved' and version = 2",
        )
        .bind(ids)
        .fetch_one(&shop.db.pool)
        .await
        .unwrap();
        assert_eq!(numbers, i64::try_from(BUYERS).unwrap(), "one for each");
        fewest = fewest.min(transactions);
    }
    assert!(fewest <= i64::try_from(BUYERS / 2).unwrap(), "{fewest}");
    // Each goes on by itself.
    shop.resume().await;
    shop.check_books().await;
}

#[tokio::test]
async fn of_two_drivers_of_one_checkout_one_goes_on_and_the_other_stops() {
    let shop = &shop(20).await;
    for round in 0..8 {
        let mut first = started(shop, &format!("twice-{round}")).await;
        let mut second = first.clone();
        let (first, second) = tokio::join!(
            drive::step(&shop.app, &mut first, Effect::Reserve),
            drive::step(&shop.app, &mut second, Effect::Reserve),
        );
        let (went_on, stopped): (Vec<_>, Vec<_>) =
            [first, second].into_iter().partition(Result::is_ok);
        assert_eq!((went_on.len(), stopped.len()), (1, 1));
        for stopped in stopped {
            let why = stopped.unwrap_err().to_string();
            assert!(why.contains("changed since it was read"), "{why}");
        }
    }
    shop.resume().await;
    shop.check_books().await;
}

#[tokio::test]
async fn checkouts_that_start_at_the_same_time_share_transactions_and_a_key_starts_one() {
    let shop = &shop(1_000).await;
    let mut fewest = i64::MAX;
    for round in 0..ROUNDS {
        // The last key comes three times, and once for something else.
        let buyers = (0..BUYERS + 2).map(|buyer| {
            let key = format!("{round}-{}", buyer.min(BUYERS - 1));
            drive::start(&shop.app, shop.checkout(&key, 1, "manual"))
        });
        let other = shop.checkout(&format!("{round}-{}", BUYERS - 1), 2, "manual");
        let (buyers, other) = tokio::join!(join_all(buyers), drive::start(&shop.app, other));
        let mut ids = Vec::new();
        let mut in_flight = 0;
        for started in buyers {
            match started.unwrap() {
                Started::Ours(checkout) => ids.push(checkout.id.as_uuid()),
                Started::InFlight => in_flight += 1,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((ids.len(), in_flight), (BUYERS, 2));
        assert!(matches!(other.unwrap(), Started::Mismatch));
        let transactions: i64 = sqlx::query_scalar(
            "select count(distinct xmin::text) from orders.checkouts
             where checkout_id = any($1) and stage = 'started'",
        )
        .bind(ids)
        .fetch_one(&shop.db.pool)
        .await
        .unwrap();
        fewest = fewest.min(transactions);
    }
    assert!(fewest <= i64::try_from(BUYERS / 2).unwrap(), "{fewest}");
    shop.resume().await;
    shop.check_books().await;
    let placed = i64::try_from(BUYERS * ROUNDS).unwrap();
    assert_eq!(shop.count("orders.orders").await, placed);
}

#[tokio::test]
async fn a_client_that_disconnects_at_the_start_takes_nothing_from_those_who_started_with_it() {
    let shop = &shop(20).await;
    let start = |key| drive::start(&shop.app, shop.checkout(key, 1, "manual"));
    let mut first = Box::pin(start("first"));
    let (mut second, mut third) = (Box::pin(start("second")), Box::pin(start("third")));
    assert!(poll!(&mut first).is_pending());
    assert!(poll!(&mut second).is_pending());
    assert!(poll!(&mut third).is_pending());
    assert!(matches!(first.await.unwrap(), Started::Ours(_)));
    // It may be the one that stores both.
    let _ = poll!(&mut second);
    drop(second);
    assert!(matches!(third.await.unwrap(), Started::Ours(_)));
    let started = "orders.checkouts where stage = 'started'";
    testkit::eventually("all three are started", || async {
        (shop.count(started).await == 3).then_some(())
    })
    .await;
    shop.resume().await;
    shop.check_books().await;
}

//! When nothing breaks.

use outbox::{EventMeta, Metrics, append, dead_letters, replay_dead_letter};
use testkit::eventually;
use vocabulary::{Clock, SystemClock};

use crate::broker::Broker;
use crate::world::{
    SCHEMA, World, assert_each_once, effects, metric, new_id, new_order, place_together,
    place_with, placed,
};

on_every_transport! {
    an_event_has_its_effect_once_at_every_consumer_and_its_row_is_done,
    an_event_that_rolled_back_never_happened,
    a_row_that_commits_late_is_not_skipped,
    the_events_of_one_aggregate_are_applied_in_order_even_if_one_fails_at_first,
    events_that_arrive_together_share_a_transaction,
    one_failure_among_events_applied_together_harms_nobody_else,
    poison_becomes_a_dead_letter_that_can_be_replayed,
    an_effect_that_keeps_failing_is_given_up_without_a_trace_of_its_tries,
    of_two_relays_one_is_active_and_the_other_takes_over,
    an_event_without_consumers_is_done_when_it_is_published,
    a_consumer_that_starts_after_the_event_still_gets_it,
    a_backlog_of_thousands_is_worked_off,
}

async fn an_event_has_its_effect_once_at_every_consumer_and_its_row_is_done(broker: Broker) {
    let world = World::running(broker).await;
    let mut ids = Vec::new();
    for number in 0..50 {
        ids.push(world.place(new_order(), &number.to_string()).await);
    }
    world.all_consume(&ids).await;
    world.all_done().await;
    assert!(metric(&world.registry, "shop_outbox_published_total") >= 50.0);
    assert!(metric(&world.registry, "shop_outbox_rewinds_total") < 1.0);
    world.tasks.stop().await;
}

async fn an_event_that_rolled_back_never_happened(broker: Broker) {
    let world = World::running(broker).await;
    let mut tx = outbox::pool::begin(&world.db.pool).await.unwrap();
    let meta = EventMeta::new(new_id(), SystemClock.now());
    append(&mut tx, SCHEMA, meta, &placed(new_order(), "never"))
        .await
        .unwrap();
    tx.rollback().await.unwrap();
    let id = world.place(new_order(), "after").await;
    world.all_consume(&[id]).await;
    world.tasks.stop().await;
}

async fn a_row_that_commits_late_is_not_skipped(broker: Broker) {
    let world = World::running(broker).await;
    let (early, late) = (new_id(), new_id());
    // Takes its position first ...
    let mut tx = outbox::pool::begin(&world.db.pool).await.unwrap();
    let meta = EventMeta::new(late, SystemClock.now());
    append(&mut tx, SCHEMA, meta, &placed(new_order(), "late"))
        .await
        .unwrap();
    // ... and is still invisible when a later position is published.
    place_with(&world.db.pool, new_order(), "early", early).await;
    world.all_consume(&[early]).await;
    tx.commit().await.unwrap();
    world.all_consume(&[early, late]).await;
    world.all_done().await;
    world.tasks.stop().await;
}

async fn the_events_of_one_aggregate_are_applied_in_order_even_if_one_fails_at_first(
    broker: Broker,
) {
    let world = World::running(broker).await;
    let (one, other) = (new_order(), new_order());
    let mut ids = Vec::new();
    for number in 0..20 {
        let id = new_id();
        if number % 5 == 0 {
            world.sides["payment"].fail.lock().unwrap().insert(id, 2);
        }
        place_with(&world.db.pool, one, &format!("{number:02}"), id).await;
        ids.push(id);
        ids.push(world.place(other, "other").await);
    }
    world.all_consume(&ids).await;
    for side in world.sides.values() {
        let applied = effects(&side.db.pool).await;
        let mut of_one: Vec<_> = applied
            .into_iter()
            .map(|(_, number)| number)
            .filter(|n| n != "other")
            .collect();
        let applied = of_one.clone();
        of_one.sort();
        assert_eq!(applied, of_one);
    }
    world.tasks.stop().await;
}

async fn events_that_arrive_together_share_a_transaction(broker: Broker) {
    let world = World::running(broker).await;
    let ids: Vec<_> = (0..40).map(|_| new_id()).collect();
    place_together(&world.db.pool, &ids).await;
    world.all_consume(&ids).await;
    world.all_done().await;
    for side in world.sides.values() {
        let sql = "select count(distinct xmin::text) from orders.inbox";
        let transactions: i64 = sqlx::query_scalar(sql)
            .fetch_one(&side.db.pool)
            .await
            .unwrap();
        assert!((5..=20).contains(&transactions), "{transactions} for 40");
    }
    world.tasks.stop().await;
}

async fn one_failure_among_events_applied_together_harms_nobody_else(broker: Broker) {
    let world = World::running(broker).await;
    let side = &world.sides["payment"];
    let ids: Vec<_> = (0..8).map(|_| new_id()).collect();
    side.fail.lock().unwrap().insert(ids[3], 2);
    side.poison.lock().unwrap().insert(ids[5], u32::MAX);
    place_together(&world.db.pool, &ids).await;
    world.all_done().await;
    let applied = effects(&side.db.pool).await;
    let others: Vec<_> = ids.iter().copied().filter(|id| *id != ids[5]).collect();
    assert_each_once("payment", &applied, &others);
    let mut conn = side.db.pool.acquire().await.unwrap();
    let letters = dead_letters(&mut conn, SCHEMA, 10).await.unwrap();
    let dead: Vec<_> = letters.iter().map(|letter| letter.event_id).collect();
    assert_eq!(dead, [ids[5]]);
    world.tasks.stop().await;
}

async fn poison_becomes_a_dead_letter_that_can_be_replayed(broker: Broker) {
    let world = World::running(broker).await;
    let (bad, good) = (new_id(), new_id());
    let side = &world.sides["payment"];
    side.poison.lock().unwrap().insert(bad, 1);
    let order = new_order();
    place_with(&world.db.pool, order, "bad", bad).await;
    place_with(&world.db.pool, order, "good", good).await;

    let mut conn = side.db.pool.acquire().await.unwrap();
    eventually("the good event is applied", || async {
        (effects(&side.db.pool).await.len() == 1).then_some(())
    })
    .await;
    let letters = dead_letters(&mut conn, SCHEMA, 10).await.unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].event_id, bad);
    assert!(
        letters[0].error.contains("the effect cannot be done"),
        "{}",
        letters[0].error
    );
    // The producer has done its part.
    world.all_done().await;
    eventually("the dead letter shows on the metric", || async {
        (metric(&side.registry, "shop_dead_letters") > 0.0).then_some(())
    })
    .await;

    assert!(replay_dead_letter(&mut conn, SCHEMA, bad).await.unwrap());
    world.all_consume(&[good, bad]).await;
    eventually("the letter is resolved", || async {
        let mut conn = side.db.pool.acquire().await.ok()?;
        dead_letters(&mut conn, SCHEMA, 10)
            .await
            .ok()?
            .is_empty()
            .then_some(())
    })
    .await;
    assert!(!replay_dead_letter(&mut conn, SCHEMA, bad).await.unwrap());
    world.tasks.stop().await;
}

async fn an_effect_that_keeps_failing_is_given_up_without_a_trace_of_its_tries(broker: Broker) {
    let world = World::running(broker).await;
    let side = &world.sides["payment"];
    let id = new_id();
    side.fail.lock().unwrap().insert(id, u32::MAX);
    place_with(&world.db.pool, new_order(), "doomed", id).await;
    let letter = eventually("a dead letter is written", || async {
        let mut conn = side.db.pool.acquire().await.ok()?;
        dead_letters(&mut conn, SCHEMA, 10).await.ok()?.pop()
    })
    .await;
    assert_eq!(letter.attempts, 4);
    assert_eq!(effects(&side.db.pool).await, []);
    let inbox: i64 = sqlx::query_scalar("select count(*) from orders.inbox")
        .fetch_one(&side.db.pool)
        .await
        .unwrap();
    assert_eq!(inbox, 0);
    world.tasks.stop().await;
}

async fn of_two_relays_one_is_active_and_the_other_takes_over(broker: Broker) {
    let world = World::new(broker).await;
    let registries = [
        chassis::Registry::new().unwrap(),
        chassis::Registry::new().unwrap(),
    ];
    let mut stops = Vec::new();
    for registry in &registries {
        stops.push(world.add_relay_with(Metrics::new(registry).unwrap()).await);
    }
    let active = || {
        let shows = |r| metric(r, "shop_outbox_relay_active") > 0.0;
        registries.iter().map(shows).collect::<Vec<_>>()
    };
    let first = eventually("one relay is active", || async {
        active().iter().position(|active| *active)
    })
    .await;
    assert_eq!(active().iter().filter(|active| **active).count(), 1);
    stops[first].cancel();
    eventually("the other relay is active", || async {
        active()[1 - first].then_some(())
    })
    .await;
    world.tasks.stop().await;
}

async fn an_event_without_consumers_is_done_when_it_is_published(broker: Broker) {
    let world = World::new(broker).await;
    world.add_relay().await;
    let product = vocabulary::ProductId::from_uuid(new_id().as_uuid());
    let low = events::StockLow {
        product_id: product,
        sku: "A-1".into(),
        available: 1,
    };
    let mut conn = world.db.pool.acquire().await.unwrap();
    append(
        &mut conn,
        SCHEMA,
        EventMeta::new(new_id(), SystemClock.now()),
        &low,
    )
    .await
    .unwrap();
    world.all_done().await;
    world.tasks.stop().await;
}

async fn a_consumer_that_starts_after_the_event_still_gets_it(broker: Broker) {
    let mut world = World::new(broker).await;
    world.add_relay().await;
    let id = world.place(new_order(), "early").await;
    eventually("the event is published to nobody", || async {
        let sql = "select count(*) from orders.outbox where published_at is not null";
        let published: i64 = sqlx::query_scalar(sql)
            .fetch_one(&world.db.pool)
            .await
            .ok()?;
        (published == 1).then_some(())
    })
    .await;
    world.add_consumer("payment").await;
    world.add_consumer("notification").await;
    world.all_consume(&[id]).await;
    world.all_done().await;
    for side in world.sides.values() {
        assert_each_once("side", &effects(&side.db.pool).await, &[id]);
    }
    world.tasks.stop().await;
}

async fn a_backlog_of_thousands_is_worked_off(broker: Broker) {
    let mut world = World::new(broker).await;
    world.add_consumer("payment").await;
    world.add_consumer("notification").await;
    let mut tx = outbox::pool::begin(&world.db.pool).await.unwrap();
    let mut ids = Vec::new();
    for number in 0..3_000 {
        let id = new_id();
        let meta = EventMeta::new(id, SystemClock.now());
        append(
            &mut tx,
            SCHEMA,
            meta,
            &placed(new_order(), &number.to_string()),
        )
        .await
        .unwrap();
        ids.push(id);
    }
    tx.commit().await.unwrap();
    world.add_relay().await;
    world.all_consume(&ids).await;
    world.all_done().await;
    world.tasks.stop().await;
}

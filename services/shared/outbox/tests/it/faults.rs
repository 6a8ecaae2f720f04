//! When things break: each event still has its effect, once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::PgPool;
use testkit::eventually;
use tokio::task::JoinHandle;
use vocabulary::EventId;

use crate::broker::Broker;
use crate::world::{World, effects, metric, new_id, new_order, place_with};

on_every_transport! {
    a_bus_that_is_killed_in_mid_stream_loses_and_doubles_nothing,
    a_wiped_bus_is_a_replay,
    events_published_to_a_bus_that_is_then_wiped_are_consumed,
    a_bus_restored_from_an_older_backup_loses_nothing,
    a_database_that_drops_its_connections_loses_and_doubles_nothing,
    a_stopped_service_goes_on_where_it_was,
}

/// Orders that are placed until it is stopped.
struct Shoppers {
    stop: Arc<AtomicBool>,
    task: JoinHandle<Vec<EventId>>,
}

impl Shoppers {
    #[expect(clippy::disallowed_methods, reason = "the test waits for it")]
    fn new(pool: PgPool) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let task = tokio::spawn(async move {
            let mut ids = Vec::new();
            // A pace that a busy machine can follow: what is tested is loss, not speed.
            let mut pace = tokio::time::interval(Duration::from_millis(5));
            while !stopped.load(Ordering::Relaxed) {
                let id = new_id();
                place_with(&pool, new_order(), "x", id).await;
                ids.push(id);
                pace.tick().await;
            }
            ids
        });
        Self { stop, task }
    }

    async fn done(self) -> Vec<EventId> {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap()
    }
}

async fn some_effects(world: &World, at_least: usize) {
    eventually("effects happen", || async {
        let applied = effects(&world.sides["payment"].db.pool).await;
        (applied.len() >= at_least).then_some(())
    })
    .await;
}

async fn a_bus_that_is_killed_in_mid_stream_loses_and_doubles_nothing(broker: Broker) {
    let mut world = World::running(broker).await;
    let shoppers = Shoppers::new(world.db.pool.clone());
    for round in 1..=3 {
        some_effects(&world, round * 20).await;
        world.broker.kill();
        world.broker.start().await;
    }
    let ids = shoppers.done().await;
    world.all_consume(&ids).await;
    world.all_done().await;
    world.tasks.stop().await;
}

async fn a_wiped_bus_is_a_replay(broker: Broker) {
    let mut world = World::running(broker).await;
    let before = world.place(new_order(), "before").await;
    world.all_consume(&[before]).await;
    let shoppers = Shoppers::new(world.db.pool.clone());
    some_effects(&world, 30).await;
    world.broker.wipe();
    world.broker.start().await;
    some_effects(&world, 60).await;
    let mut ids = shoppers.done().await;
    ids.push(before);
    world.all_consume(&ids).await;
    world.all_done().await;
    world.tasks.stop().await;
}

async fn events_published_to_a_bus_that_is_then_wiped_are_consumed(broker: Broker) {
    let mut world = World::new(broker).await;
    world.add_relay().await;
    let stop_payment = world.add_consumer("payment").await;
    let stop_notification = world.add_consumer("notification").await;
    let warm = world.place(new_order(), "warm").await;
    world.all_consume(&[warm]).await;
    // Nobody consumes: the stream holds the only copies outside of the outbox.
    stop_payment.cancel();
    stop_notification.cancel();
    let mut ids = vec![warm];
    for number in 0..30 {
        ids.push(world.place(new_order(), &number.to_string()).await);
    }
    eventually("all are published", || async {
        let sql = "select count(*) from orders.outbox where published_at is null";
        let waiting: i64 = sqlx::query_scalar(sql)
            .fetch_one(&world.db.pool)
            .await
            .ok()?;
        (waiting == 0).then_some(())
    })
    .await;
    world.broker.wipe();
    world.broker.start().await;
    for name in ["payment", "notification"] {
        let registry = chassis::Registry::new().unwrap();
        world
            .start_consumer(name, outbox::Metrics::new(&registry).unwrap())
            .await;
    }
    world.all_consume(&ids).await;
    world.all_done().await;
    assert!(metric(&world.registry, "shop_outbox_rewinds_total") >= 1.0);
    world.tasks.stop().await;
}

async fn a_bus_restored_from_an_older_backup_loses_nothing(broker: Broker) {
    let mut world = World::running(broker).await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(world.place(new_order(), "before the backup").await);
    }
    world.all_consume(&ids).await;
    let backup = world.broker.backup();
    world.broker.start().await;
    for _ in 0..20 {
        ids.push(world.place(new_order(), "after the backup").await);
    }
    some_effects(&world, 10).await;
    world.broker.restore(&backup);
    world.broker.start().await;
    for _ in 0..5 {
        ids.push(world.place(new_order(), "after the restore").await);
    }
    world.all_consume(&ids).await;
    world.all_done().await;
    world.tasks.stop().await;
}

async fn a_database_that_drops_its_connections_loses_and_doubles_nothing(broker: Broker) {
    let world = World::running(broker).await;
    let mut ids = Vec::new();
    for round in 1..=3 {
        for _ in 0..20 {
            ids.push(world.place(new_order(), "x").await);
        }
        some_effects(&world, round * 10).await;
        world.sides["payment"].db.cut_connections().await;
        world.sides["notification"].db.cut_connections().await;
        world.db.cut_connections().await;
        eventually("the database answers again", || async {
            sqlx::query("select 1").execute(&world.db.pool).await.ok()
        })
        .await;
    }
    world.all_consume(&ids).await;
    world.all_done().await;
    world.tasks.stop().await;
}

async fn a_stopped_service_goes_on_where_it_was(broker: Broker) {
    let mut world = World::new(broker).await;
    world.add_relay().await;
    world.add_consumer("notification").await;
    let mut stop = world.add_consumer("payment").await;
    let shoppers = Shoppers::new(world.db.pool.clone());
    for round in 1..=3 {
        some_effects(&world, round * 15).await;
        stop.cancel();
        let registry = chassis::Registry::new().unwrap();
        stop = world
            .start_consumer("payment", outbox::Metrics::new(&registry).unwrap())
            .await;
    }
    let ids = shoppers.done().await;
    world.all_consume(&ids).await;
    world.all_done().await;
    world.tasks.stop().await;
}

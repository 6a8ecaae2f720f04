//! A bus of three servers: any one may go while events are appended; with two gone, events wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_nats::jetstream::stream::Stream;
use sqlx::PgPool;
use testkit::eventually_within;
use tokio::task::JoinHandle;
use vocabulary::{Clock, EventId, SystemClock};

use crate::broker::Broker;
use crate::world::{World, effects, new_id, new_order, place_with};

/// An election, and the time that a consumer needs to miss the server that it listened to.
const BOUND: Duration = Duration::from_secs(60);

/// A shop on a bus of three servers.
async fn clustered() -> World {
    let servers = testkit::nats_cluster(3).await;
    World::running(Broker::Nats(servers)).await
}

fn urls(world: &mut World) -> Vec<String> {
    (0..3).map(|n| world.broker.server(n).url()).collect()
}

async fn stream(urls: &[String]) -> Option<Stream> {
    let client = async_nats::connect(urls).await.ok()?;
    let context = async_nats::jetstream::new(client);
    context.get_stream(bus::nats::STREAM).await.ok()
}

/// Which server leads the stream.
async fn leader(world: &mut World) -> usize {
    let urls = urls(world);
    eventually_within(BOUND, "the stream has a leader", || async {
        let stream = stream(&urls).await?;
        let leader = stream.cached_info().cluster.as_ref()?.leader.as_ref()?;
        leader.strip_prefix("server-")?.parse().ok()
    })
    .await
}

/// Three orders to which something happens in turn, until told to stop.
struct Orders {
    stop: Arc<AtomicBool>,
    task: JoinHandle<Vec<EventId>>,
}

impl Orders {
    #[expect(clippy::disallowed_methods, reason = "the test waits for it")]
    fn new(pool: PgPool) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let task = tokio::spawn(async move {
            let orders = [("a", new_order()), ("b", new_order()), ("c", new_order())];
            let mut ids = Vec::new();
            let mut pace = tokio::time::interval(Duration::from_millis(10));
            while !stopped.load(Ordering::Relaxed) {
                let (name, order) = orders[ids.len() % orders.len()];
                let id = new_id();
                place_with(&pool, order, &format!("{name} {:06}", ids.len()), id).await;
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

/// Waits until both consumers have applied so many more.
async fn some_more(world: &World, count: usize) {
    for side in world.sides.values() {
        let before = effects(&side.db.pool).await.len();
        eventually_within(BOUND, "effects happen", || async {
            let now = effects(&side.db.pool).await.len();
            (now >= before + count).then_some(())
        })
        .await;
    }
}

/// Each order's events were applied in the order in which they happened.
async fn all_in_order(world: &World) {
    for (side, name) in world
        .sides
        .values()
        .flat_map(|side| ["a", "b", "c"].map(|n| (side, n)))
    {
        let heard = effects(&side.db.pool).await.into_iter();
        let of_one: Vec<String> = heard
            .map(|(_, number)| number)
            .filter(|number| number.starts_with(name))
            .collect();
        assert!(of_one.is_sorted(), "{name}: {of_one:?}");
    }
}

async fn count(pool: &PgPool, sql: &'static str, since: chrono::DateTime<chrono::Utc>) -> i64 {
    let counted = sqlx::query_scalar(sql).bind(since).fetch_one(pool).await;
    counted.unwrap()
}

#[tokio::test]
async fn the_stream_is_on_three_servers_and_so_are_its_consumers() {
    let mut world = clustered().await;
    let id = world.place(new_order(), "x").await;
    world.all_consume(&[id]).await;
    let stream = stream(&urls(&mut world)).await.unwrap();
    assert_eq!(stream.cached_info().config.num_replicas, 3);
    for name in ["payment", "notification"] {
        let info = stream.consumer_info(name).await.unwrap();
        assert_eq!(info.cluster.unwrap().replicas.len(), 2, "{name}");
    }
    world.tasks.stop().await;
}

#[tokio::test]
async fn a_leader_that_is_killed_while_events_are_appended_loses_and_doubles_nothing() {
    let mut world = clustered().await;
    let orders = Orders::new(world.db.pool.clone());
    some_more(&world, 50).await;
    for _ in 0..2 {
        let leader = leader(&mut world).await;
        world.broker.server(leader).kill();
        // Without it, and then with it again.
        some_more(&world, 100).await;
        world.broker.server(leader).start().await;
        some_more(&world, 50).await;
    }
    let ids = orders.done().await;
    world.all_consume(&ids).await;
    world.all_done().await;
    all_in_order(&world).await;
    world.tasks.stop().await;
}

#[tokio::test]
async fn without_a_majority_events_wait_and_with_one_again_they_go_on() {
    let mut world = clustered().await;
    let orders = Orders::new(world.db.pool.clone());
    some_more(&world, 50).await;
    let leader = leader(&mut world).await;
    let other = (leader + 1) % 3;
    world.broker.server(leader).kill();
    world.broker.server(other).kill();
    let since = SystemClock.now();
    let pool = world.db.pool.clone();
    eventually_within(BOUND, "orders go on", || async {
        let sql = "select count(*) from orders.outbox where created_at > $1";
        (count(&pool, sql, since).await >= 200).then_some(())
    })
    .await;
    let sql =
        "select count(*) from orders.outbox where created_at > $1 and published_at is not null";
    assert_eq!(count(&pool, sql, since).await, 0);
    world.broker.server(other).start().await;
    some_more(&world, 200).await;
    let ids = orders.done().await;
    world.all_consume(&ids).await;
    world.all_done().await;
    all_in_order(&world).await;
    world.tasks.stop().await;
}

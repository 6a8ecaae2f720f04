//! What the relay costs the database.

use std::time::{Duration, Instant};

use outbox::{Metrics, Relay, RelayOptions};
use sqlx::{Connection, PgConnection};
use testkit::eventually;

use crate::broker::Broker;
use crate::world::{SCHEMA, World, metric, new_order};

const EVENTS: u32 = 400;
const PACE: Duration = Duration::from_millis(20);
/// Commits that no event causes: connections, the lock, the first check of the stream and of the table.
const OTHERS: u128 = 20;

/// Commits in a database that nobody is connected to any more: a backend reports its own when it ends, at the latest.
async fn commits(world: World) -> i64 {
    let url = &world.db.url;
    let (server, name) = url.rsplit_once('/').unwrap();
    world.tasks.stop().await;
    world.db.pool.close().await;
    let mut admin = PgConnection::connect(&format!("{server}/postgres"))
        .await
        .unwrap();
    let read = "select xact_commit from pg_stat_database as s
                where datname = $1 and not exists (select from pg_stat_activity as a where a.datname = s.datname)";
    for _ in 0..600 {
        let read = sqlx::query_scalar(read).bind(name);
        if let Some(commits) = read.fetch_optional(&mut admin).await.unwrap() {
            return commits;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("somebody stays connected");
}

#[tokio::test]
async fn under_load_the_relay_reads_and_marks_once_a_pace() {
    let world = World::new(Broker::log()).await;
    let pool = outbox::pool::connect(&world.db.url, 2, "relay").unwrap();
    let metrics = Metrics::new(&world.registry).unwrap();
    let relay = Relay::new(pool, world.connect().await, SCHEMA, "order", metrics);
    let relay = relay.options(RelayOptions {
        pace: PACE,
        check: Duration::from_secs(3600),
        ..RelayOptions::default()
    });
    world
        .tasks
        .spawn("relay", relay.run(world.tasks.shutdown()));
    let started = Instant::now();
    let mut load = tokio::time::interval(PACE / 2);
    for number in 0..EVENTS {
        load.tick().await;
        world.place(new_order(), &number.to_string()).await;
    }
    let registry = world.registry.clone();
    eventually("every row is published", || async {
        let published = metric(&registry, "shop_outbox_published_total");
        (published >= f64::from(EVENTS)).then_some(())
    })
    .await;
    let looks = started.elapsed().as_millis() / PACE.as_millis() + 2;
    let commits = u128::from(commits(world).await.unsigned_abs());
    // A read and a mark each; with a read behind each mark they would be three.
    let most = u128::from(EVENTS) + looks * 5 / 2 + OTHERS;
    assert!(
        commits <= most,
        "{commits} commits for {EVENTS} events in {looks} looks"
    );
}

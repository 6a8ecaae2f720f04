//! The users of the cache.

use std::time::Duration;

use cache::{Cache, KeysInterface, LuaInterface, OutagePolicy};
use serde_json::json;
use testkit::{Redis, redis_configured};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::plan::{Plan, team};

const POLICY: OutagePolicy = OutagePolicy {
    degraded: "a test",
    timeout: Duration::from_secs(5),
    max_failures: 1_000,
    pause: Duration::from_millis(1),
};

async fn world() -> (Plan, Redis) {
    let plan = Plan::with(vec![team("reviews", &json!(null))]);
    let redis = redis_configured(&plan.file("demo-redis-config", "redis.conf")).await;
    (plan, redis)
}

/// A client that has connected.
async fn client(plan: &Plan, redis: &Redis, name: &str) -> Cache {
    let binding = plan.binding(name, "cache", &redis.url());
    let uri = binding.require("uri").expect("an address");
    let cache = Cache::connect(uri, None, POLICY).expect("a client");
    let prefix = binding.require("key-prefix").expect("a prefix");
    testkit::eventually("the server is reached", || async {
        let key = format!("{prefix}up");
        let get = |redis: cache::Redis| async move { redis.get::<Option<String>, _>(key).await };
        cache.run(get).await
    })
    .await;
    cache
}

async fn set(cache: &Cache, key: &'static str) -> bool {
    let set = |redis: cache::Redis| async move {
        redis.set::<(), _, _>(key, "1", None, None, false).await
    };
    cache.run(set).await.is_some()
}

async fn get(cache: &Cache, key: &'static str) -> bool {
    let get = |redis: cache::Redis| async move { redis.get::<Option<String>, _>(key).await };
    cache.run(get).await.is_some()
}

#[tokio::test]
async fn each_workload_has_its_own_keys_and_no_other_ones() {
    let (plan, redis) = world().await;
    for (name, own, foreign) in [
        ("demo-auth", "auth:login:x", "product:card:x"),
        ("demo-product", "product:card:x", "auth:login:x"),
        ("reviews", "team:reviews:x", "product:card:x"),
        ("reviews", "team:reviews:y", "auth:login:x"),
        ("reviews", "team:reviews:z", "team:other:x"),
    ] {
        let cache = client(&plan, &redis, name).await;
        assert!(
            set(&cache, own).await && get(&cache, own).await,
            "{name} and {own}"
        );
        assert!(!set(&cache, foreign).await, "{name} wrote {foreign}");
        assert!(!get(&cache, foreign).await, "{name} read {foreign}");
        let script = |redis: cache::Redis| async move {
            redis
                .eval::<(), _, _, _>("redis.call('SET', KEYS[1], '1')", vec![own], vec!["1"])
                .await
        };
        assert!(cache.run(script).await.is_some(), "{name} runs a script");
        let script = |redis: cache::Redis| async move {
            let script = "redis.call('SET', ARGV[1], '1')";
            redis
                .eval::<(), _, _, _>(script, vec![own], vec![foreign])
                .await
        };
        assert!(
            cache.run(script).await.is_none(),
            "{name} wrote {foreign} by a script"
        );
    }
}

#[tokio::test]
async fn nobody_is_let_in_without_a_login() {
    let (_plan, redis) = world().await;
    let url = redis.url();
    let address = url.trim_start_matches("redis://").trim_end_matches("/0");
    let mut stranger = tokio::net::TcpStream::connect(address)
        .await
        .expect("it listens");
    stranger
        .write_all(b"GET team:reviews:x\r\n")
        .await
        .expect("sent");
    let mut answer = [0; 7];
    stranger.read_exact(&mut answer).await.expect("an answer");
    assert_eq!(&answer, b"-NOAUTH");
}

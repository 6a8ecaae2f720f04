//! The cache on a real Redis that is stopped and started.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cache::{Cache, KeysInterface, OutagePolicy};

const PAUSE: Duration = Duration::from_millis(300);

fn policy() -> OutagePolicy {
    OutagePolicy {
        degraded: "a test",
        timeout: Duration::from_millis(200),
        max_failures: 2,
        pause: PAUSE,
    }
}

async fn put(cache: &Cache) -> Option<()> {
    cache
        .run(|redis| async move {
            redis
                .set::<(), _, _>("key", "value", None, None, false)
                .await
        })
        .await
}

async fn get(cache: &Cache) -> Option<Option<String>> {
    cache
        .run(|redis| async move { redis.get::<Option<String>, _>("key").await })
        .await
}

async fn connected(redis: &testkit::Redis) -> Cache {
    let cache = Cache::connect(&redis.url(), None, policy()).expect("a Redis URI");
    testkit::eventually("Redis is asked", || async { put(&cache).await }).await;
    cache
}

#[tokio::test]
async fn what_was_stored_is_found_and_a_missing_key_is_a_result_too() {
    let redis = testkit::redis().await;
    let cache = connected(&redis).await;
    assert_eq!(get(&cache).await, Some(Some("value".to_owned())));
    let other = |redis: cache::Redis| async move { redis.get::<Option<String>, _>("other").await };
    assert_eq!(cache.run(other).await, Some(None));
}

#[tokio::test]
async fn an_outage_costs_a_bounded_wait_and_then_nothing() {
    let mut redis = testkit::redis().await;
    let cache = connected(&redis).await;
    redis.kill();
    for _ in 0..2 {
        let began = Instant::now();
        assert_eq!(get(&cache).await, None);
        assert!(
            began.elapsed() < Duration::from_secs(1),
            "{:?}",
            began.elapsed()
        );
    }
    let asked = AtomicUsize::new(0);
    let command = |redis: cache::Redis| {
        asked.fetch_add(1, Ordering::Relaxed);
        async move { redis.get::<Option<String>, _>("key").await }
    };
    assert_eq!(cache.run(command).await, None);
    assert_eq!(
        asked.load(Ordering::Relaxed),
        0,
        "it is bypassed for a while"
    );
    redis.start().await;
    testkit::eventually("Redis is asked again", || async { get(&cache).await }).await;
}

#[test]
fn what_is_no_uri_is_refused() {
    assert!(Cache::connect("not a uri", None, policy()).is_err());
}

#[tokio::test]
async fn over_tls_only_a_server_that_is_vouched_for_is_asked() {
    let (redis, authority) = testkit::redis_tls().await;
    assert!(redis.url().starts_with("rediss://"));
    let trusting = Cache::connect(&redis.url(), Some(&authority), policy()).expect("connected");
    testkit::eventually("Redis is asked", || async { put(&trusting).await }).await;
    assert_eq!(get(&trusting).await, Some(Some("value".to_owned())));

    let (_, other) = testkit::redis_tls().await;
    for authorities in [None, Some(other.as_str())] {
        let cautious = Cache::connect(&redis.url(), authorities, policy()).expect("a Redis URI");
        for _ in 0..20 {
            assert_eq!(get(&cautious).await, None);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test]
async fn a_server_of_plain_text_is_not_asked_over_tls() {
    let redis = testkit::redis().await;
    let uri = redis.url().replace("redis://", "rediss://");
    let cache = Cache::connect(&uri, None, policy()).expect("a Redis URI");
    for _ in 0..20 {
        assert_eq!(put(&cache).await, None);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let plain = Cache::connect(&redis.url(), None, policy()).expect("a Redis URI");
    testkit::eventually("Redis is asked", || async { get(&plain).await }).await;
    assert_eq!(get(&plain).await, Some(None), "nothing got through");
}

#[tokio::test]
async fn authorities_that_cannot_be_read_are_refused() {
    for pem in [
        "",
        "nonsense",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        assert!(
            Cache::connect("rediss://localhost", Some(pem), policy()).is_err(),
            "{pem}"
        );
    }
}

#[tokio::test]
async fn a_redis_that_takes_no_write_is_reported_although_it_answers() {
    let redis = testkit::redis().await;
    let cache = connected(&redis).await;
    assert_eq!(cache.check("check").await, Ok(()));
    let readonly = testkit::redis_configured("min-replicas-to-write 1\n").await;
    let cache = Cache::connect(&readonly.url(), None, policy()).expect("a Redis URI");
    testkit::eventually("Redis is asked", || async { get(&cache).await }).await;
    let told = cache.check("check").await.unwrap_err();
    assert!(told.contains("takes no write"), "{told}");
}

#[tokio::test]
async fn a_redis_that_refuses_the_login_is_told_from_one_that_is_away() {
    let mut redis = testkit::redis_configured("requirepass right\n").await;
    let uri = redis.url().replace("redis://", "redis://:wrong@");
    let cache = Cache::connect(&uri, None, policy()).expect("a Redis URI");
    let told = |text: &'static str| {
        let cache = &cache;
        testkit::eventually(text, move || async move {
            cache.health().err().filter(|told| told == text)
        })
    };
    told("Redis refuses this service's credentials").await;
    redis.kill();
    told("there is no connection to Redis").await;
}

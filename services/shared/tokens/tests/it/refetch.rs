//! The refetch rule of the README, line by line. Time is tokio's: it moves on when everybody waits.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokens::{KeyCache, Lookup};
use tokio::time::{Instant, sleep};

use crate::issuer::{Issuer, Key};

const HOUR: Duration = Duration::from_secs(3600);

fn start(issuer: &Issuer) -> KeyCache {
    KeyCache::start("http://issuer/keys", issuer.clone())
}

async fn is_found(cache: &KeyCache, kid: &str) -> bool {
    matches!(cache.find(kid).await, Lookup::Found(..))
}

/// How long a search takes.
async fn timed(cache: &KeyCache, kid: &str) -> (Lookup, Duration) {
    let asked = Instant::now();
    let lookup = cache.find(kid).await;
    (lookup, asked.elapsed())
}

#[tokio::test(start_paused = true)]
async fn the_first_request_waits_for_keys_that_are_being_fetched() {
    let issuer = Issuer::serving(&[&Key::new("one")]).slow(Duration::from_millis(700));
    let cache = start(&issuer);
    assert!(is_found(&cache, "one").await);
    assert_eq!(issuer.fetches(), 1);
    assert_eq!(cache.version(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_comes_up_late_is_found_within_two_seconds() {
    let issuer = Issuer::default();
    let cache = start(&issuer);
    let (lookup, took) = timed(&cache, "one").await;
    assert!(matches!(lookup, Lookup::Unavailable), "{lookup:?}");
    assert_eq!(took, Duration::from_secs(2));
    // Time for every pause between retries to grow as long as it may.
    sleep(HOUR).await;
    issuer.serve(&[&Key::new("one")]);
    assert!(is_found(&cache, "one").await);
}

#[tokio::test(start_paused = true)]
async fn keys_are_fetched_every_five_minutes_and_no_request_waits_for_it() {
    let issuer = Issuer::serving(&[&Key::new("one")]).slow(Duration::from_secs(1));
    let cache = start(&issuer);
    assert!(is_found(&cache, "one").await);
    // In the middle of the second fetch.
    sleep(Duration::from_millis(300_500)).await;
    assert_eq!(issuer.fetches(), 2);
    let (lookup, took) = timed(&cache, "one").await;
    assert!(matches!(lookup, Lookup::Found(_, 1)), "{lookup:?}");
    assert_eq!(took, Duration::ZERO);
    sleep(HOUR).await;
    assert_eq!(issuer.fetches(), 13);
}

#[tokio::test(start_paused = true)]
async fn a_key_is_found_right_after_its_publication_by_everybody_who_asks() {
    let (one, two) = (Key::new("one"), Key::new("two"));
    let issuer = Issuer::serving(&[&one]).slow(Duration::from_millis(100));
    let cache = start(&issuer);
    assert!(is_found(&cache, "one").await);
    issuer.serve(&[&one, &two]);
    let (a, b, c) = tokio::join!(
        is_found(&cache, "two"),
        is_found(&cache, "two"),
        is_found(&cache, "two")
    );
    assert!(a && b && c);
    assert_eq!(issuer.fetches(), 2);
}

#[tokio::test(start_paused = true)]
async fn unknown_kids_lead_to_one_fetch_a_minute_and_the_rest_do_not_wait() {
    let issuer = Issuer::serving(&[&Key::new("one")]);
    let cache = start(&issuer);
    assert!(is_found(&cache, "one").await);
    for n in 0..1_000 {
        let (lookup, took) = timed(&cache, &format!("forged {n}")).await;
        assert!(matches!(lookup, Lookup::Unknown), "{lookup:?}");
        assert_eq!(took, Duration::ZERO);
    }
    assert_eq!(issuer.fetches(), 2);
    sleep(Duration::from_secs(59)).await;
    assert!(!is_found(&cache, "forged").await);
    assert_eq!(issuer.fetches(), 2);
    sleep(Duration::from_secs(1)).await;
    assert!(!is_found(&cache, "forged").await);
    assert_eq!(issuer.fetches(), 3);
}

#[tokio::test(start_paused = true)]
async fn the_last_keys_stay_while_the_issuer_is_away_and_it_is_not_hammered() {
    let (one, two) = (Key::new("one"), Key::new("two"));
    let issuer = Issuer::serving(&[&one]);
    let cache = start(&issuer);
    assert!(is_found(&cache, "one").await);
    issuer.stop();
    sleep(Duration::from_secs(330)).await;
    let before = issuer.fetches();
    for _ in 0..60 {
        sleep(Duration::from_secs(60)).await;
        assert!(is_found(&cache, "one").await);
        let (lookup, took) = timed(&cache, "forged").await;
        assert!(matches!(lookup, Lookup::Unknown), "{lookup:?}");
        assert_eq!(took, Duration::ZERO, "there is nothing to wait for");
    }
    let retries = issuer.fetches() - before;
    assert!((119..=121).contains(&retries), "one in 30 s: {retries}");
    assert!(issuer.failed.load(Ordering::Relaxed) >= retries);
    issuer.serve(&[&two]);
    sleep(Duration::from_secs(30)).await;
    assert!(is_found(&cache, "two").await);
    assert!(!is_found(&cache, "one").await, "withdrawn keys end");
}

#[tokio::test(start_paused = true)]
async fn a_cache_that_is_dropped_fetches_no_more() {
    let issuer = Issuer::serving(&[&Key::new("one")]);
    let cache = start(&issuer);
    assert!(is_found(&cache, "one").await);
    drop(cache);
    sleep(HOUR).await;
    assert_eq!(issuer.fetches(), 1);
}

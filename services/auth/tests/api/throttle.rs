use axum::http::StatusCode;
use chrono::TimeDelta;
use testkit::Answer;

use crate::app::{self, PASSWORD, TestApp, words};

const HERE: &str = "203.0.113.9";
const WRONG: &str = "wrong horse battery";

/// The service, connected to Redis.
async fn throttled(redis: &testkit::Redis) -> TestApp {
    let app = app::with_redis(&redis.url()).await;
    testkit::eventually("Redis is asked", || async {
        let blind = app.state.metrics.throttle_blind.get();
        app.log_in_from("192.0.2.250", "nobody@example.com", WRONG)
            .await;
        (app.state.metrics.throttle_blind.get() == blind).then_some(())
    })
    .await;
    app
}

async fn guess(app: &TestApp, from: &str, email: &str, times: usize) -> Vec<StatusCode> {
    let mut statuses = Vec::new();
    for _ in 0..times {
        statuses.push(app.log_in_from(from, email, WRONG).await.status);
    }
    statuses
}

fn waits(answer: &Answer) -> u64 {
    assert_eq!(
        answer.status,
        StatusCode::TOO_MANY_REQUESTS,
        "{}",
        answer.text()
    );
    answer.header("retry-after").parse().unwrap()
}

#[tokio::test]
async fn failed_logins_wait_longer_and_the_wait_ends() {
    let redis = testkit::redis().await;
    let app = throttled(&redis).await;
    app.register("ann", "ann@example.com").await;
    let statuses = guess(&app, HERE, "ann@example.com", 6).await;
    assert_eq!(statuses, [StatusCode::UNAUTHORIZED; 6]);
    for wait in [1, 2, 4] {
        let answer = app.log_in_from(HERE, "ann@example.com", WRONG).await;
        assert_eq!(waits(&answer), wait);
        app.clock
            .advance(TimeDelta::seconds(wait.try_into().unwrap()));
        let answer = app.log_in_from(HERE, "ann@example.com", WRONG).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    }
    // The right password waits too: otherwise the answer would reveal that it is right.
    assert_eq!(
        waits(&app.log_in_from(HERE, "ann@example.com", PASSWORD).await),
        8
    );
    app.clock.advance(TimeDelta::seconds(8));
    app.log_in_from(HERE, "ann@example.com", PASSWORD)
        .await
        .expect(StatusCode::OK);
    let statuses = guess(&app, HERE, "ann@example.com", 5).await;
    assert_eq!(
        statuses,
        [StatusCode::UNAUTHORIZED; 5],
        "a login forgets its failures"
    );
}

#[tokio::test]
async fn unknown_addresses_are_throttled_too() {
    let redis = testkit::redis().await;
    let app = throttled(&redis).await;
    app.register("ann", "ann@example.com").await;
    guess(&app, HERE, "ann@example.com", 6).await;
    guess(&app, "198.51.100.1", "bob@example.com", 6).await;
    let known = app.log_in_from(HERE, "ann@example.com", WRONG).await;
    let unknown = app
        .log_in_from("198.51.100.1", "bob@example.com", WRONG)
        .await;
    assert_eq!(
        (waits(&known), words(&known)),
        (waits(&unknown), words(&unknown))
    );
}

#[tokio::test]
async fn forged_hops_are_ignored_and_other_networks_are_not_throttled() {
    let redis = testkit::redis().await;
    let app = throttled(&redis).await;
    app.register("ann", "ann@example.com").await;
    for n in 0..6 {
        let forwarded = format!("192.0.2.{n}, {HERE}");
        app.log_in_from(&forwarded, "ann@example.com", WRONG).await;
    }
    waits(
        &app.log_in_from(&format!("192.0.2.77, {HERE}"), "ann@example.com", WRONG)
            .await,
    );
    let elsewhere = app
        .log_in_from("198.51.100.1", "ann@example.com", PASSWORD)
        .await;
    elsewhere.expect(StatusCode::OK);
}

#[tokio::test]
async fn one_network_cannot_try_many_accounts() {
    let redis = testkit::redis().await;
    let app = throttled(&redis).await;
    for n in 0..31 {
        let email = format!("person-{n}@example.com");
        let answer = app.log_in_from(HERE, &email, WRONG).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{n}");
    }
    assert_eq!(
        waits(&app.log_in_from(HERE, "person-99@example.com", WRONG).await),
        1
    );
}

#[tokio::test]
async fn an_attack_on_an_account_does_not_lock_its_owner_out() {
    let redis = testkit::redis().await;
    let app = throttled(&redis).await;
    app.register("ann", "ann@example.com").await;
    app.log_in_from(HERE, "ann@example.com", PASSWORD)
        .await
        .expect(StatusCode::OK);
    for n in 0..21 {
        app.log_in_from(&format!("198.51.100.{n}"), "ann@example.com", WRONG)
            .await;
    }
    let stranger = app
        .log_in_from("198.51.100.99", "ann@example.com", WRONG)
        .await;
    assert!(waits(&stranger) <= 60);
    app.log_in_from(HERE, "ann@example.com", PASSWORD)
        .await
        .expect(StatusCode::OK);
}

#[tokio::test]
async fn without_redis_logins_work_and_are_counted_as_not_throttled() {
    let mut redis = testkit::redis().await;
    let app = throttled(&redis).await;
    app.register("ann", "ann@example.com").await;
    guess(&app, HERE, "ann@example.com", 6).await;
    waits(&app.log_in_from(HERE, "ann@example.com", PASSWORD).await);

    redis.kill();
    app.log_in_from(HERE, "ann@example.com", PASSWORD)
        .await
        .expect(StatusCode::OK);
    let blind = app.state.metrics.throttle_blind.get();
    assert!(blind > 0, "blind {blind}");

    redis.start().await;
    testkit::eventually("failures are counted again", || async {
        let status = app.log_in_from(HERE, "ann@example.com", WRONG).await.status;
        (status == StatusCode::TOO_MANY_REQUESTS).then_some(())
    })
    .await;
}

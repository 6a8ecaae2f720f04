use auth::Registrations;
use axum::http::StatusCode;
use chrono::TimeDelta;
use testkit::Answer;

use crate::app::{self, PASSWORD, TestApp, within, words};

const HERE: &str = "203.0.113.9";
const WRONG: &str = "wrong horse battery";
const ANN: &str = "ann@example.com";

async fn with_ann() -> TestApp {
    let app = app::start().await;
    app.register("ann", ANN).await;
    app
}

async fn guess(app: &TestApp, from: &str, email: &str, times: usize) -> Vec<StatusCode> {
    let mut statuses = Vec::new();
    for _ in 0..times {
        statuses.push(app.log_in_from(from, email, WRONG).await.status);
    }
    statuses
}

fn waits(answer: &Answer) -> i64 {
    assert_eq!(
        answer.status,
        StatusCode::TOO_MANY_REQUESTS,
        "{}",
        answer.text()
    );
    answer.header("retry-after").parse().unwrap()
}

#[tokio::test]
async fn failed_logins_wait_and_the_wait_ends() {
    let app = with_ann().await;
    let statuses = guess(&app, HERE, ANN, 5).await;
    assert_eq!(statuses, [StatusCode::UNAUTHORIZED; 5]);
    for _ in 0..2 {
        let wait = waits(&app.log_in_from(HERE, ANN, WRONG).await);
        assert_eq!(wait, 180, "a fifth of the window");
        app.clock.advance(TimeDelta::seconds(wait));
        let answer = app.log_in_from(HERE, ANN, WRONG).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    }
    // The right password waits too: otherwise the answer would reveal that it is right.
    assert_eq!(waits(&app.log_in_from(HERE, ANN, PASSWORD).await), 180);
    app.clock.advance(TimeDelta::seconds(180));
    app.log_in_from(HERE, ANN, PASSWORD)
        .await
        .expect(StatusCode::OK);
    let statuses = guess(&app, HERE, ANN, 5).await;
    assert_eq!(
        statuses,
        [StatusCode::UNAUTHORIZED; 5],
        "a login forgets its failures"
    );
}

#[tokio::test]
async fn unknown_addresses_are_throttled_too() {
    let app = with_ann().await;
    guess(&app, HERE, ANN, 5).await;
    guess(&app, "198.51.100.1", "bob@example.com", 5).await;
    let known = app.log_in_from(HERE, ANN, WRONG).await;
    let unknown = app
        .log_in_from("198.51.100.1", "bob@example.com", WRONG)
        .await;
    assert_eq!(
        (waits(&known), words(&known)),
        (waits(&unknown), words(&unknown))
    );
}

#[tokio::test]
async fn forged_hops_are_ignored_and_other_clients_are_not_throttled() {
    let app = with_ann().await;
    for n in 0..5 {
        let forwarded = format!("192.0.2.{n}, {HERE}");
        app.log_in_from(&forwarded, ANN, WRONG).await;
    }
    let forged = format!("192.0.2.77, {HERE}");
    waits(&app.log_in_from(&forged, ANN, WRONG).await);
    let elsewhere = app.log_in_from("198.51.100.1", ANN, PASSWORD).await;
    elsewhere.expect(StatusCode::OK);
}

/// Fails once on each of so many accounts.
async fn spray(app: &TestApp, count: usize) {
    for n in 0..count {
        let email = format!("person-{n}@example.com");
        let answer = app.log_in_from(HERE, &email, WRONG).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{n}");
    }
}

#[tokio::test]
async fn one_client_cannot_try_many_accounts() {
    let app = app::start().await;
    spray(&app, 30).await;
    let next = app.log_in_from(HERE, "person-99@example.com", WRONG).await;
    assert_eq!(waits(&next), 30);
}

#[tokio::test]
async fn who_fails_does_not_lock_out_who_has_logged_in_from_there() {
    let app = with_ann().await;
    app.log_in_from(HERE, ANN, PASSWORD)
        .await
        .expect(StatusCode::OK);
    spray(&app, 30).await;
    waits(&app.log_in_from(HERE, "person-99@example.com", WRONG).await);
    app.log_in_from(HERE, ANN, PASSWORD)
        .await
        .expect(StatusCode::OK);
}

#[tokio::test]
async fn a_good_login_lowers_the_counter_of_its_client() {
    let app = with_ann().await;
    spray(&app, 29).await;
    app.log_in_from(HERE, ANN, PASSWORD)
        .await
        .expect(StatusCode::OK);
    for n in 40..42 {
        let email = format!("person-{n}@example.com");
        let answer = app.log_in_from(HERE, &email, WRONG).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{n}");
    }
    waits(&app.log_in_from(HERE, "person-99@example.com", WRONG).await);
}

#[tokio::test]
async fn an_attack_on_an_account_does_not_lock_its_owner_out() {
    let app = with_ann().await;
    app.log_in_from(HERE, ANN, PASSWORD)
        .await
        .expect(StatusCode::OK);
    for n in 0..20 {
        app.log_in_from(&format!("198.51.100.{n}"), ANN, WRONG)
            .await;
    }
    let stranger = app.log_in_from("198.51.100.99", ANN, WRONG).await;
    assert_eq!(waits(&stranger), 45);
    app.log_in_from(HERE, ANN, PASSWORD)
        .await
        .expect(StatusCode::OK);
}

#[tokio::test]
async fn a_device_with_a_token_of_an_earlier_login_waits_only_for_itself() {
    let app = with_ann().await;
    let token = app.session(ANN).await;
    // All customers are one address, as behind a proxy that the gateway does not believe.
    guess(&app, HERE, ANN, 5).await;
    waits(&app.log_in_from(HERE, ANN, PASSWORD).await);
    app.log_in_with(&token, ANN, PASSWORD)
        .await
        .expect(StatusCode::OK);

    let stolen = app.log_in_with("no such token", ANN, PASSWORD).await;
    waits(&stolen);
    app.register("bob", "bob@example.com").await;
    guess(&app, HERE, "bob@example.com", 5).await;
    let other = app.log_in_with(&token, "bob@example.com", WRONG).await;
    waits(&other);

    for _ in 0..5 {
        let answer = app.log_in_with(&token, ANN, WRONG).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    }
    waits(&app.log_in_with(&token, ANN, PASSWORD).await);
}

#[tokio::test]
async fn counters_that_have_sunk_are_swept_and_others_are_not() {
    use service::{PeriodicTask, Progress};
    let app = with_ann().await;
    guess(&app, HERE, ANN, 2).await;
    let count = "select count(*) from auth.throttles where key like 'login:%'";
    assert_eq!(app.count(count).await, 3);
    let sweep = auth::SessionSweep::new(&app.state);
    assert_eq!(sweep.run().await.unwrap(), Progress::Done);
    assert_eq!(app.count(count).await, 3);
    app.clock.advance(TimeDelta::seconds(1_801));
    sweep.run().await.unwrap();
    assert_eq!(app.count(count).await, 0);
}

#[tokio::test]
async fn one_client_registers_a_few_accounts_and_its_network_a_few_more() {
    let app = app::limited(Registrations {
        per_client: within(3),
        per_network: within(5),
        confirms: false,
    })
    .await;
    for n in 0..3 {
        let answer = app.register_from(HERE, &format!("first-{n}")).await;
        answer.expect(StatusCode::CREATED);
    }
    assert_eq!(waits(&app.register_from(HERE, "first-9").await), 300);
    // A probe for taken addresses is no cheaper.
    waits(&app.register_from(HERE, "first-0").await);
    for n in 0..2 {
        let answer = app
            .register_from("203.0.113.10", &format!("near-{n}"))
            .await;
        answer.expect(StatusCode::CREATED);
    }
    assert_eq!(
        waits(&app.register_from("203.0.113.11", "near-9").await),
        180
    );
    let elsewhere = app.register_from("198.51.100.1", "far-0").await;
    elsewhere.expect(StatusCode::CREATED);
    app.clock.advance(TimeDelta::seconds(300));
    let later = app.register_from(HERE, "first-9").await;
    later.expect(StatusCode::CREATED);
}

#[tokio::test]
async fn at_the_same_time_no_more_register_than_there_is_room_for() {
    let app = app::limited(Registrations {
        per_client: within(3),
        per_network: within(100),
        confirms: false,
    })
    .await;
    let names: Vec<String> = (0..8).map(|n| format!("person-{n}")).collect();
    let all = names.iter().map(|name| app.register_from(HERE, name));
    let answers = futures::future::join_all(all).await;
    let made = answers
        .iter()
        .filter(|answer| answer.status == StatusCode::CREATED);
    assert_eq!(made.count(), 3);
}

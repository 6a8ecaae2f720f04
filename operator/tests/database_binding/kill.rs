//! The operator dies around every call of a binding's life, and every life goes on.
//!
//! The calls come from a recorded run of the same life, so a call that is added to the product is
//! covered by itself. Real PostgreSQL, real SQL, the product's own client; only the API server is a
//! stand-in.
//!
//! A kill between two calls that only look leaves the same world as one before the first of them, so
//! by default the kills are around what changes something: before the first call, and in the middle
//! of and after every change. `STOREFRONT_KILL=all` kills before and after each call of any kind.

use std::collections::BTreeMap;
use std::time::Instant;

use super::chaos::{Moment, Plan};
use super::life::{KEEPER, Life, OWNER, READER, ROTATOR, SHARER};
use super::postgres::Postgres;
use super::world::World;

/// Lives a life under a plan; returns the calls of the operator, checks not included.
async fn live(server: &Postgres, life: &Life, plan: Plan) -> (World, Vec<String>) {
    let mut world = World::on(server);
    life.prepare(&mut world).await;
    world.plan(plan);
    let mut calls = Vec::new();
    for step in life.steps {
        life.step(&mut world, *step).await;
        calls = world.chaos.calls();
    }
    (world, calls)
}

/// Whether a call only looks.
pub fn only_looks(call: &str) -> bool {
    ["GET ", "SQL open", "SQL read", "SQL log in"]
        .iter()
        .any(|start| call.starts_with(start))
}

/// When to kill at a call.
fn moments(at: usize, call: &str) -> &'static [Moment] {
    #[expect(clippy::disallowed_methods, reason = "a test has no config.rs")]
    let all = std::env::var("STOREFRONT_KILL").is_ok_and(|value| value == "all");
    match (all, only_looks(call)) {
        (true, true) => &[Moment::Before, Moment::After],
        (true, false) => &[Moment::Before, Moment::During, Moment::After],
        (false, true) if at == 0 => &[Moment::Before],
        (false, true) => &[],
        (false, false) => &[Moment::During, Moment::After],
    }
}

async fn kill_everywhere(life: &Life) {
    let start = Instant::now();
    // Of its own, so that these tests do not wait for each other's turn on one server.
    let server = Postgres::start_for_many_logins();
    let (world, calls) = live(&server, life, Plan::Peace).await;
    world.clean().await;
    assert!(
        calls.iter().any(|call| call == "SQL create the login role"),
        "{calls:#?}"
    );
    let mut killed: BTreeMap<&str, usize> = BTreeMap::new();
    for (at, call) in calls.iter().enumerate() {
        for moment in moments(at, call) {
            // A failure names its point by this line.
            println!("{}: {moment:?} call {at}: {call}", life.name);
            let (world, _) = live(&server, life, Plan::Kill(at, *moment)).await;
            assert_eq!(
                world.deaths, 1,
                "the recorded call {at} ({call}) was reached"
            );
            world.clean().await;
            *killed
                .entry(call.split(' ').next().unwrap_or_default())
                .or_default() += 1;
        }
    }
    let points: usize = killed.values().sum();
    eprintln!(
        "{}: {} calls, {points} kill points by verb {killed:?}, {:.0} s",
        life.name,
        calls.len(),
        start.elapsed().as_secs_f64()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_survives_a_kill_at_every_call() {
    kill_everywhere(&OWNER).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retained_database_survives_a_kill_at_every_call() {
    kill_everywhere(&KEEPER).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sharer_survives_a_kill_at_every_call() {
    kill_everywhere(&SHARER).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_survives_a_kill_at_every_call() {
    kill_everywhere(&ROTATOR).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_readers_rotation_survives_a_kill_at_every_call() {
    kill_everywhere(&READER).await;
}

/// So many lives take a minute or two; `STOREFRONT_FAULTY_LIVES=10000` takes a night.
const FAULTY_LIVES: u64 = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faulty_lives_end_like_the_clean_one() {
    #[expect(clippy::disallowed_methods, reason = "a test has no config.rs")]
    let asked = std::env::var("STOREFRONT_FAULTY_LIVES").ok();
    let lives = asked
        .and_then(|text| text.parse().ok())
        .unwrap_or(FAULTY_LIVES);
    let server = Postgres::start_for_many_logins();
    for seed in 0..lives {
        let lives = [&OWNER, &KEEPER, &SHARER, &ROTATOR, &READER];
        let life = lives[usize::try_from(seed % 5).expect("small")];
        println!("{}: seed {seed}", life.name);
        let mut world = World::on(&server);
        life.prepare(&mut world).await;
        for (number, step) in (0..).zip(life.steps) {
            world.plan(Plan::Faults {
                seed: seed * 100 + number,
                permille: 40,
            });
            life.stumble(&mut world, *step).await;
        }
        world.clean().await;
    }
}

//! The operator dies around every call of a binding's life, and every life goes on.
//!
//! The calls come from a recorded run of the same life, so a call that is added to the product is
//! covered by itself. Real PostgreSQL, real SQL, the product's own client; only the API server is a
//! stand-in.
//!
//! A kill between two calls that only look leaves the same world as one before the first of them, so
//! by default the kills are around what changes something: before the first call of a step, and in the middle
//! of and after every change. `STOREFRONT_KILL=all` kills before and after each call of any kind.
//!
//! One life has one kill in each of its steps: what has to be true is checked after every step, so that a step begins
//! in the world that the one before promises, whatever was killed there.

use std::time::Instant;

use super::chaos::{Moment, Plan};
use super::life::{KEEPER, Life, OWNER, READER, ROTATOR, SHARER};
use super::postgres::Postgres;
use super::world::World;

/// Lives a life, each step under its plan; returns the calls of the operator in each step, checks not included.
async fn live(server: &Postgres, life: &Life, plans: &[Plan]) -> (World, Vec<Vec<String>>) {
    let mut world = World::on(server);
    life.prepare(&mut world).await;
    let mut calls = Vec::new();
    for (step, plan) in life.steps.iter().zip(plans) {
        world.plan(*plan);
        life.act(&mut world, *step).await;
        calls.push(world.chaos.calls());
        life.check(&mut world, *step).await;
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
    let peace = vec![Plan::Peace; life.steps.len()];
    let (world, calls) = live(&server, life, &peace).await;
    world.clean().await;
    let made = |call: &String| call == "SQL create the login role";
    assert!(calls.iter().flatten().any(made), "{calls:#?}");
    let points: Vec<Vec<(usize, Moment)>> = calls.iter().map(|calls| points(calls)).collect();
    let most = points.iter().map(Vec::len).max().unwrap_or_default();
    for round in 0..most {
        let kills: Vec<_> = points.iter().map(|points| points.get(round)).collect();
        for ((step, kill), calls) in life.steps.iter().zip(&kills).zip(&calls) {
            if let Some((at, moment)) = kill {
                // A failure names its points by these lines.
                println!(
                    "{}: {step:?}: {moment:?} call {at}: {}",
                    life.name, calls[*at]
                );
            }
        }
        let plan = |(at, moment): &(usize, Moment)| Plan::Kill(*at, *moment);
        let plans: Vec<Plan> = kills
            .iter()
            .map(|kill| kill.map_or(Plan::Peace, plan))
            .collect();
        let (world, _) = live(&server, life, &plans).await;
        let planned = kills.iter().flatten().count();
        assert_eq!(world.deaths, planned, "the recorded calls were reached");
        world.clean().await;
    }
    eprintln!(
        "{}: {} calls, {} kill points in {most} lives, {:.0} s",
        life.name,
        calls.iter().flatten().count(),
        points.iter().flatten().count(),
        start.elapsed().as_secs_f64()
    );
}

/// Where to kill in a step with these calls.
fn points(calls: &[String]) -> Vec<(usize, Moment)> {
    let all = calls.iter().enumerate();
    all.flat_map(|(at, call)| moments(at, call).iter().map(move |moment| (at, *moment)))
        .collect()
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

//! Whatever call goes wrong, in whatever way, the end is the same; then nothing more is written.
//!
//! Every call that a coming-up makes (method, object, subresource) fails once, the first time it is
//! made: the calls are dealt into [`HANDS`] hands, and each run fails one hand. A call that is added to
//! the operator is dealt in by itself.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::fake::{Fake, Fault, Request};
use crate::world::{World, cluster_with_shop, is_ready, ours, picture};

/// Runs for each kind of fault; more runs mean fewer faults in each.
const HANDS: u64 = 6;

/// Objects of the picture that the operator does not write: class, shop, and the Secrets of the databases.
const NOT_WRITTEN: usize = 8;

fn hand(request: &Request) -> u64 {
    let mut hasher = DefaultHasher::new();
    (request.method.as_str(), &request.id, &request.subresource).hash(&mut hasher);
    hasher.finish() % HANDS
}

/// Brings a shop up while the calls of one hand fail, and returns the picture at the end.
async fn run(dealt: Option<(u64, Fault)>) -> (Vec<String>, usize) {
    let fake = cluster_with_shop("Delete");
    let mut failed = HashSet::new();
    let count = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counter = std::sync::Arc::clone(&count);
    fake.break_by(move |request| {
        let (wanted, fault) = dealt?;
        let call = (
            request.method.clone(),
            request.id.clone(),
            request.subresource.clone(),
        );
        let is_dealt = hand(request) == wanted && failed.insert(call);
        counter.fetch_add(usize::from(is_dealt), std::sync::atomic::Ordering::Relaxed);
        is_dealt.then_some(fault)
    });
    let world = World::ready(fake).await;
    world.look_again().await;
    let before = world.fake.writes();
    world.look_again().await;
    assert_eq!(world.fake.writes(), before, "still writing after {dealt:?}");
    let fake = world.kill().await;
    (
        picture(&fake),
        count.load(std::sync::atomic::Ordering::Relaxed),
    )
}

async fn converges_under(fault: Fault) {
    let (clean, _) = run(None).await;
    let mut failed = 0;
    for hand in 0..HANDS {
        let (end, faults) = run(Some((hand, fault))).await;
        let differs: Vec<_> = end.iter().filter(|line| !clean.contains(line)).collect();
        assert!(differs.is_empty(), "{fault:?} in hand {hand}: {differs:#?}");
        assert_eq!(end.len(), clean.len(), "{fault:?} in hand {hand}");
        failed += faults;
    }
    // The write of each object at least; reads there are next to none.
    let written = clean.len() - NOT_WRITTEN;
    assert!(
        failed >= written,
        "{failed} calls failed, of {written} objects"
    );
}

#[tokio::test(start_paused = true)]
async fn every_call_may_meet_a_conflict() {
    converges_under(Fault::Refused(409)).await;
}

#[tokio::test(start_paused = true)]
async fn every_call_may_fail_in_the_server() {
    converges_under(Fault::Refused(500)).await;
}

#[tokio::test(start_paused = true)]
async fn every_answer_may_be_lost_after_the_work_was_done() {
    converges_under(Fault::Lost).await;
}

#[tokio::test(start_paused = true)]
async fn every_connection_may_break_before_the_work_is_done() {
    converges_under(Fault::Broken).await;
}

/// Numbers of requests after which the operator is killed, from the first to the last.
pub const DEATHS: [usize; 8] = [3, 17, 40, 75, 110, 160, 220, 300];

/// Runs an operator until it has made so many requests; none after that is answered, then it is killed.
pub async fn killed_at(fake: Fake, requests: usize, start: fn(Fake) -> World) -> Fake {
    let last = fake.requests().len() + requests;
    let counted = fake.clone();
    fake.break_by(move |_| (counted.requests().len() > last).then_some(Fault::Dead));
    let world = start(fake);
    let began = tokio::time::Instant::now();
    while world.fake.requests().len() <= last && began.elapsed().as_secs() < 30 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let fake = world.kill().await;
    fake.break_by(|_| None);
    fake
}

#[tokio::test(start_paused = true)]
async fn a_coming_up_that_is_killed_again_and_again_ends_in_the_same_place() {
    let (clean, _) = run(None).await;
    let mut fake = cluster_with_shop("Delete");
    for requests in DEATHS {
        fake = killed_at(fake, requests, World::start).await;
    }
    let world = World::ready(fake).await;
    world.look_again().await;
    let end = picture(&world.fake);
    let differs: Vec<_> = end.iter().filter(|line| !clean.contains(line)).collect();
    assert!(
        differs.is_empty() && end.len() == clean.len(),
        "{differs:#?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_deletion_that_is_killed_again_and_again_still_leaves_nothing() {
    for requests in DEATHS {
        let world = World::start(cluster_with_shop("Delete"));
        world
            .until("the shop is ready", |fake| is_ready(fake, "demo"))
            .await;
        world.rest().await;
        let shop = ours("storefronts", "demo");
        let fake = world.kill().await;
        fake.delete(&shop);
        let fake = killed_at(fake, requests, World::start).await;
        let world = World::start(fake);
        world.until_gone(&shop).await;
        let left = world.fake.with(|store| {
            let ids = store.all().keys();
            let ids = ids.filter(|id| id.namespace == "shops" && id.resource != "events");
            ids.cloned().collect::<Vec<_>>()
        });
        assert!(left.is_empty(), "killed after {requests}: {left:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_that_is_killed_again_and_again_ends_in_the_same_place() {
    let upgrade = |fake: &Fake| {
        let set = |shop: &mut serde_json::Value| shop["spec"]["version"] = "2.0.0".into();
        fake.with(|store| store.update(&ours("storefronts", "demo"), false, set))
            .expect("changed");
    };
    let is_done = |fake: &Fake| {
        let shop = fake.with(|store| store.get(&ours("storefronts", "demo")).cloned());
        let shop = shop.unwrap_or_default();
        let seen = &shop["status"]["observedGeneration"];
        is_ready(fake, "demo")
            && shop["status"]["version"] == "2.0.0"
            && *seen == shop["metadata"]["generation"]
    };
    let mut pictures = Vec::new();
    for deaths in [&[][..], &DEATHS] {
        let world = World::start(cluster_with_shop("Delete"));
        world
            .until("the shop is ready", |fake| is_ready(fake, "demo"))
            .await;
        world.rest().await;
        let mut fake = world.kill().await;
        upgrade(&fake);
        for requests in deaths {
            fake = killed_at(fake, *requests, World::start).await;
        }
        let world = World::start(fake);
        world.until("the shop is upgraded", is_done).await;
        world.rest().await;
        world.look_again().await;
        pictures.push(picture(&world.fake));
    }
    assert_eq!(pictures[0], pictures[1]);
}

//! How many requests a shop costs, by verb and kind. Numbers, not times: they are the same on any machine.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::fake::{Fake, Id};
use crate::world::{World, add_shop, cluster_with_class, condition, is_ready, ours};

/// Databases of a shop. Their Secrets are made by their own controller, which does not run here; so each
/// is read once, for its checksum. In a whole operator they come from the answer to the create.
const DATABASES: usize = 6;

/// Requests to the API server, watches aside, by `verb resource`.
type Counts = BTreeMap<String, usize>;

/// What was asked so far.
struct Mark {
    requests: usize,
    lists: usize,
}

fn mark(fake: &Fake) -> Mark {
    Mark {
        requests: fake.requests().len(),
        lists: fake.listed().len(),
    }
}

/// What was asked since then: reads (lists included), and writes.
fn since(fake: &Fake, mark: &Mark) -> (Counts, Counts) {
    let (mut reads, mut writes) = (Counts::new(), Counts::new());
    for request in fake.requests().into_iter().skip(mark.requests) {
        let mut resource = request.id.resource.clone();
        if !request.subresource.is_empty() {
            resource = format!("{resource}/{}", request.subresource);
        }
        let verb = match request.method.as_str() {
            "GET" => "get",
            "POST" => "create",
            "PATCH" => "patch",
            "DELETE" => "delete",
            other => other,
        };
        let counts = if request.is_write() {
            &mut writes
        } else {
            &mut reads
        };
        *counts.entry(format!("{verb} {resource}")).or_default() += 1;
    }
    for (resource, _) in fake.listed().into_iter().skip(mark.lists) {
        *reads.entry(format!("list {resource}")).or_default() += 1;
    }
    (reads, writes)
}

/// The reads of so many shops that come up: one for each database's Secret.
fn reads_of(shops: usize) -> Counts {
    Counts::from([("get secrets".to_owned(), shops * DATABASES)])
}

fn total(counts: &Counts) -> usize {
    counts.values().sum()
}

async fn quiet_operator() -> World {
    let world = World::start(cluster_with_class());
    world.rest().await;
    world
}

#[tokio::test(start_paused = true)]
async fn a_shop_comes_up_on_what_the_watches_and_the_answers_to_its_own_writes_show() {
    let world = quiet_operator().await;
    let before = mark(&world.fake);
    add_shop(&world.fake, "demo", "Delete");
    world
        .until("the shop is ready", |fake| is_ready(fake, "demo"))
        .await;
    world.rest().await;
    let (reads, writes) = since(&world.fake, &before);
    assert_eq!(reads, reads_of(1));
    // One create for each object, and a patch where something changed afterwards.
    let made = |prefix: &str| {
        let of_verb = writes.iter().filter(|(what, _)| what.starts_with(prefix));
        of_verb.map(|(_, count)| count).sum::<usize>()
    };
    let objects = world.fake.with(|store| {
        let ids = store.all().keys();
        let ids = ids.filter(|id| id.namespace == "shops" && id.resource != "events");
        // The shop itself, and the Secrets that the databases' controller makes here.
        ids.filter(|id| id.resource != "storefronts" && !id.name.ends_with("-db"))
            .count()
    });
    let events = writes.get("create events").copied().unwrap_or_default();
    assert_eq!(made("create") - events, objects, "{writes:#?}");
    let statuses = writes.iter().filter(|(what, _)| what.ends_with("/status"));
    let statuses: usize = statuses.map(|(_, count)| count).sum();
    let patches = made("patch") - statuses;
    assert!(patches <= 3, "{writes:#?}");
    assert!(total(&writes) <= 260, "{} {writes:#?}", total(&writes));
}

#[tokio::test(start_paused = true)]
async fn ten_more_shops_cost_ten_times_one() {
    let world = quiet_operator().await;
    let mut costs = Vec::new();
    for names in [vec!["a0"], (1..11).map(|_| "b").collect()] {
        let before = mark(&world.fake);
        let names: Vec<String> = names
            .iter()
            .enumerate()
            .map(|(number, name)| format!("{name}{number}"))
            .collect();
        for name in &names {
            add_shop(&world.fake, name, "Delete");
        }
        world
            .until("the shops are ready", |fake| {
                names.iter().all(|name| is_ready(fake, name))
            })
            .await;
        world.rest().await;
        let (reads, writes) = since(&world.fake, &before);
        assert_eq!(reads, reads_of(names.len()));
        costs.push(total(&writes));
    }
    assert!(costs[1] <= 11 * costs[0], "{costs:?}");
}

/// A shop of which nothing can start.
fn add_stuck_shop(fake: &Fake) {
    add_shop(fake, "demo", "Delete");
    let set = |shop: &mut Value| shop["spec"]["version"] = "missing".into();
    fake.with(|store| store.update(&ours("storefronts", "demo"), false, set))
        .expect("changed");
}

#[tokio::test(start_paused = true)]
async fn a_shop_that_waits_for_its_servers_costs_nothing() {
    let world = quiet_operator().await;
    let before = mark(&world.fake);
    add_stuck_shop(&world.fake);
    tokio::time::sleep(Duration::from_secs(120)).await;
    world.rest().await;
    let (reads, _) = since(&world.fake, &before);
    assert_eq!(reads, reads_of(1));
    let waiting = mark(&world.fake);
    // Less than the time between two routine reconciliations.
    tokio::time::sleep(Duration::from_secs(420)).await;
    let (reads, writes) = since(&world.fake, &waiting);
    assert_eq!((reads, writes), (Counts::new(), Counts::new()));
}

const LOGIN: &str = "mail-login";

#[tokio::test(start_paused = true)]
async fn a_shop_that_waits_for_a_secret_costs_one_watch_and_sees_it_at_once() {
    let world = quiet_operator().await;
    add_shop(&world.fake, "demo", "Delete");
    let set = |shop: &mut Value| {
        shop["spec"]["notifications"]["email"]["smtp"]["secretRef"] = json!({ "name": LOGIN });
    };
    world
        .fake
        .with(|store| store.update(&ours("storefronts", "demo"), false, set))
        .expect("changed");
    let waits = |fake: &Fake| {
        let ready = fake.with(|store| condition(store.get(&ours("storefronts", "demo")), "Ready"));
        ready.is_some_and(|(_, reason)| reason == "SecretMissing")
    };
    world.until("the shop waits", waits).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    world.rest().await;
    let waiting = mark(&world.fake);
    tokio::time::sleep(Duration::from_secs(300)).await;
    let (reads, writes) = since(&world.fake, &waiting);
    assert_eq!((reads, writes), (Counts::new(), Counts::new()));

    let secret = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": {},
        "data": { "username": "c2hvcA==", "password": "c2VjcmV0" } });
    let made = tokio::time::Instant::now();
    world
        .fake
        .with(|store| store.create(&Id::new("", "secrets", "shops", LOGIN), secret))
        .expect("made");
    world
        .until("the shop is ready", |fake| is_ready(fake, "demo"))
        .await;
    assert!(
        made.elapsed() < Duration::from_secs(10),
        "{:?}",
        made.elapsed()
    );
    let read = world.fake.requests().into_iter().skip(waiting.requests);
    let read = read.filter(|r| !r.is_write() && r.id.name == LOGIN);
    assert_eq!(read.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn secrets_of_others_are_neither_listed_nor_read() {
    let fake = cluster_with_class();
    let secret = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": {}, "data": {} });
    for name in ["theirs-1", "theirs-2"] {
        let id = Id::new("", "secrets", "shops", name);
        fake.with(|store| store.create(&id, secret.clone()))
            .expect("made");
    }
    let world = World::start(fake);
    add_shop(&world.fake, "demo", "Delete");
    world
        .until("the shop is ready", |fake| is_ready(fake, "demo"))
        .await;
    world.rest().await;
    assert_eq!(world.fake.unselected_lists("secrets"), 0);
    let read = world.fake.requests();
    let theirs = read.iter().filter(|r| r.id.name.starts_with("theirs"));
    assert_eq!(theirs.count(), 0);
}

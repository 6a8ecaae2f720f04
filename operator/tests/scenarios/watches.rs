//! What happens to watches: cut off, refused, without a definition.

use serde_json::json;

use crate::fake::Id;
use crate::world::{World, cluster_with_shop, is_ready, ours, ready_shop};

#[tokio::test(start_paused = true)]
async fn what_vanished_while_the_watches_were_down_returns() {
    let world = ready_shop("Delete").await;
    let service = Id::new("", "services", "shops", "demo-auth");
    let account = Id::new("", "serviceaccounts", "shops", "demo-order");
    world.fake.cut_watches();
    world.fake.delete(&service);
    world.fake.delete(&account);
    world.fake.cut_watches();
    world
        .until("the Service is back", |fake| {
            fake.with(|store| store.get(&service).is_some())
        })
        .await;
    world
        .until("the account is back", |fake| {
            fake.with(|store| store.get(&account).is_some())
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn the_operator_waits_for_definitions_and_says_for_which() {
    let fake = cluster_with_shop("Delete");
    fake.not_serving(&["storefronts", "gateways"]);
    let world = World::start(fake);
    world
        .until("it says what it waits for", |_| {
            world.health.waiting_for().len() == 2
        })
        .await;
    assert!(world.health.waiting_for().contains_key("Storefront"));
    assert_eq!(world.health.live(), Ok(()));
    world.health.refresh();
    let missing = world
        .metrics
        .crd_missing
        .with_label_values(&["Storefront"])
        .get();
    assert_eq!(missing, 1);
    world.fake.not_serving(&[]);
    world
        .until("the shop is ready", |fake| is_ready(fake, "demo"))
        .await;
    assert!(world.health.waiting_for().is_empty());
}

#[tokio::test(start_paused = true)]
async fn one_kind_that_is_not_served_holds_up_nothing_that_can_do_without() {
    let fake = cluster_with_shop("Delete");
    // No autoscaler in the plan of this shop, so nothing needs the kind.
    fake.not_serving(&["horizontalpodautoscalers"]);
    let world = World::ready(fake).await;
    assert_eq!(world.health.waiting_for().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn writes_are_counted_by_verb_and_resource() {
    let world = ready_shop("Delete").await;
    let counted: u64 = ["create", "patch"]
        .iter()
        .map(|verb| {
            let labels = [*verb, "servicedeployments"];
            world.metrics.writes.with_label_values(&labels).get()
        })
        .sum();
    let made = world.fake.requests();
    let made = made.iter().filter(|r| {
        r.is_write() && r.id.resource == "servicedeployments" && r.subresource.is_empty()
    });
    assert_eq!(counted, u64::try_from(made.count()).expect("few"));
    let shop = world
        .fake
        .with(|store| store.get(&ours("storefronts", "demo")).is_some());
    assert!(shop);
}

#[tokio::test(start_paused = true)]
async fn liveness_sees_a_watch_that_nothing_is_heard_of() {
    let world = ready_shop("Delete").await;
    assert_eq!(world.health.live(), Ok(()));
    world.fake.silence(&["httproutes"]);
    let began = tokio::time::Instant::now();
    world
        .until("liveness fails", |_| world.health.live().is_err())
        .await;
    let after = began.elapsed().as_secs();
    assert!((120..=300).contains(&after), "after {after} s");
    assert!(
        world
            .health
            .live()
            .is_err_and(|why| why.contains("HTTPRoute"))
    );
}

#[tokio::test(start_paused = true)]
async fn a_quiet_cluster_is_no_dead_cluster() {
    let world = ready_shop("Delete").await;
    let began = tokio::time::Instant::now();
    world
        .until("a good while went by", |_| {
            assert_eq!(world.health.live(), Ok(()));
            began.elapsed().as_secs() > 1100
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn watches_that_are_refused_at_first_hold_up_nothing_for_long() {
    let fake = cluster_with_shop("Delete");
    // Each of the watches of a start, and a few of the second round: lists succeed all the while.
    fake.refuse_watches(25);
    let world = World::ready(fake).await;
    assert!(
        world.health.waiting_for().is_empty(),
        "{:?}",
        world.health.waiting_for()
    );
}

#[tokio::test(start_paused = true)]
async fn an_operator_of_some_namespaces_asks_for_nothing_beyond_them() {
    let fake = cluster_with_shop("Delete");
    let elsewhere = Id::new("storefront.dev", "storefronts", "elsewhere", "other");
    let mut shop = fake
        .with(|store| store.get(&ours("storefronts", "demo")).cloned())
        .expect("it");
    shop["metadata"] = json!({});
    fake.with(|store| store.create(&elsewhere, shop))
        .expect("made");
    let world = World::start_in(fake, &["quiet", "shops"]);
    world
        .until("the shop is ready", |fake| is_ready(fake, "demo"))
        .await;
    world.rest().await;
    let beyond: Vec<_> = world
        .fake
        .listed()
        .into_iter()
        .filter(|(_, namespace)| namespace != "shops" && namespace != "quiet")
        .collect();
    assert!(beyond.is_empty(), "{beyond:?}");
    let touched = world
        .fake
        .requests()
        .into_iter()
        .filter(|r| r.id.namespace == "elsewhere");
    assert_eq!(touched.count(), 0);
}

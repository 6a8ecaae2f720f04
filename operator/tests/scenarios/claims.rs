//! Two operators on one namespace.

use std::sync::Arc;

use kube::client::ClientBuilder;
use kube_cache::Scope;
use operator::claims::{Claims, WATCHES};
use operator::leader::LEASE;
use serde_json::json;

use crate::fake::{Fake, Id};
use crate::world::{World, ours, ready_shop};

/// The Lease of an operator, as it looks while it is held by one that watches everything.
fn hold_lease(fake: &Fake, namespace: &str) {
    let id = Id::new("coordination.k8s.io", "leases", namespace, LEASE);
    let now = jiff::Timestamp::now();
    let lease = json!({ "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {},
        "spec": { "holderIdentity": "it", "leaseDurationSeconds": 3600, "renewTime": now } });
    fake.with(|store| store.create(&id, lease)).expect("made");
}

#[tokio::test(start_paused = true)]
async fn of_two_operators_on_one_namespace_the_second_stands_back_until_the_first_is_gone() {
    let first = ready_shop("Delete").await;
    let shop = ours("storefronts", "demo");
    let claim = |fake: &Fake| {
        let found = fake.with(|store| store.get(&shop).cloned());
        found.unwrap_or_default()["status"]["operator"].clone()
    };
    assert_eq!(claim(&first.fake), "storefront-system");
    hold_lease(&first.fake, "storefront-system");
    let fake = first.kill().await;
    let before = fake.writes();
    let second = World::start_other(fake, "team-a");
    second.look_again().await;
    // What it would put right, were it alone.
    let service = Id::new("", "services", "shops", "demo-order");
    let evil = |service: &mut serde_json::Value| service["spec"]["selector"]["x"] = "y".into();
    second
        .fake
        .with(|store| store.update(&service, false, evil))
        .expect("changed");
    second.look_again().await;
    assert_eq!(second.fake.writes(), before);
    let told = second.fake.events_about("demo");
    let conflicts = told.iter().filter(|reason| *reason == "OperatorConflict");
    assert_eq!(conflicts.count(), 1, "{told:?}");

    let lease = Id::new("coordination.k8s.io", "leases", "storefront-system", LEASE);
    second.fake.delete(&lease);
    let began = tokio::time::Instant::now();
    second
        .until("it takes over", |fake| {
            claim(fake) == "team-a"
                && fake
                    .with(|store| store.get(&service).cloned())
                    .unwrap_or_default()["spec"]["selector"]["x"]
                    .is_null()
        })
        .await;
    assert!(began.elapsed().as_secs() < 120, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_operator_that_no_longer_watches_a_namespace_leaves_its_shops_to_another() {
    let first = ready_shop("Delete").await;
    hold_lease(&first.fake, "storefront-system");
    let fake = first.kill().await;
    let lease = Id::new("coordination.k8s.io", "leases", "storefront-system", LEASE);
    let told = |fake: &Fake| {
        let found = fake.with(|store| store.get(&lease).cloned());
        found.unwrap_or_default()["metadata"]["annotations"][WATCHES].clone()
    };
    // It lives on, with another list of namespaces.
    let client = ClientBuilder::new(fake.clone(), "default").build();
    let claims = Claims::new(client, Arc::default(), "storefront-system".into());
    claims.announce(&[Scope::All]).await;
    assert_eq!(told(&fake), "*");
    let others = [Scope::of_namespace("one"), Scope::of_namespace("two")];
    claims.announce(&others).await;
    assert_eq!(told(&fake), "one,two");
    let before = fake.writes();
    claims.announce(&others).await;
    assert_eq!(fake.writes(), before);

    let second = World::start_other(fake, "team-a");
    let shop = ours("storefronts", "demo");
    second
        .until("it takes over", |fake| {
            let found = fake.with(|store| store.get(&shop).cloned());
            found.unwrap_or_default()["status"]["operator"] == "team-a"
        })
        .await;
    let told = second.fake.events_about("demo");
    assert!(!told.contains(&"OperatorConflict".into()), "{told:?}");
}

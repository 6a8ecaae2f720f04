//! Kinds of the Gateway API that the data plane does not honour.

use serde_json::{Value, json};

use crate::fake::{Fake, Id};
use crate::world::{World, cluster_with_shop, is_ready};

fn policy() -> Id {
    Id::new(
        "gateway.networking.k8s.io",
        "backendtlspolicies",
        "shops",
        "encrypted",
    )
}

fn said(fake: &Fake) -> Value {
    let found = fake.with(|store| store.get(&policy()).cloned());
    found.unwrap_or_default()["status"]["ancestors"][0]["conditions"][0].clone()
}

#[tokio::test(start_paused = true)]
async fn a_policy_for_tls_towards_a_service_of_the_shop_is_told_that_it_is_not_honoured() {
    let world = World::start(cluster_with_shop("Delete"));
    world
        .until("the shop is ready", |fake| is_ready(fake, "demo"))
        .await;
    let made = json!({ "apiVersion": "gateway.networking.k8s.io/v1", "kind": "BackendTLSPolicy", "metadata": {},
        "spec": { "targetRefs": [{ "group": "", "kind": "Service", "name": "demo-order" }],
            "validation": { "hostname": "order", "wellKnownCACertificates": "System" } } });
    world
        .fake
        .with(|store| store.create(&policy(), made))
        .expect("made");
    world
        .until("it is told", |fake| said(fake)["reason"] == "Invalid")
        .await;
    assert_eq!(said(&world.fake)["status"], "False");
    world.rest().await;
    let before = world.fake.writes();
    world.look_again().await;
    assert_eq!(world.fake.writes(), before);
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_does_not_know_the_policy_is_served_all_the_same() {
    let fake = cluster_with_shop("Delete");
    fake.not_serving(&["backendtlspolicies"]);
    let world = World::start(fake);
    world
        .until("the shop is ready", |fake| is_ready(fake, "demo"))
        .await;
    assert!(world.health.waiting_for().is_empty());
}

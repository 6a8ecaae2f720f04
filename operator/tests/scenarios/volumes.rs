//! What becomes of the volumes of a shop's servers.

use serde_json::json;

use crate::fake::Id;
use crate::world::{World, ours, ready_shop};

const CLAIMS: [&str; 2] = ["data-demo-postgres-0", "data-demo-nats-0"];

fn claim(name: &str) -> Id {
    Id::new("", "persistentvolumeclaims", "shops", name)
}

/// The claims that the controller of StatefulSets makes.
fn add_claims(world: &World) {
    for (name, server) in CLAIMS.into_iter().zip(["postgres", "nats"]) {
        let labels = json!({
            "app.kubernetes.io/name": server,
            "app.kubernetes.io/instance": format!("demo-{server}"),
        });
        let made = json!({ "apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": { "labels": labels }, "spec": {} });
        world
            .fake
            .with(|store| store.create(&claim(name), made))
            .expect("a claim");
    }
}

async fn delete_shop(world: &World) {
    let shop = ours("storefronts", "demo");
    world.fake.delete(&shop);
    world.until_gone(&shop).await;
}

fn left(world: &World) -> Vec<&'static str> {
    let exists = |name: &&str| world.fake.with(|store| store.get(&claim(name)).is_some());
    CLAIMS.into_iter().filter(exists).collect()
}

#[tokio::test(start_paused = true)]
async fn the_volumes_go_with_a_shop_that_is_deleted_and_stay_with_one_that_is_retained() {
    for (policy, expected) in [("Delete", &[][..]), ("Retain", &CLAIMS)] {
        let world = ready_shop(policy).await;
        add_claims(&world);
        delete_shop(&world).await;
        assert_eq!(left(&world), expected, "{policy}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_volumes_go_with_the_shop_also_when_its_servers_went_first() {
    let world = ready_shop("Delete").await;
    add_claims(&world);
    let fake = world.kill().await;
    for server in ["demo-postgres", "demo-nats"] {
        let set = Id::new("apps", "statefulsets", "shops", server);
        fake.delete(&set);
    }
    let shop = ours("storefronts", "demo");
    fake.delete(&shop);
    let world = World::start(fake);
    world.until_gone(&shop).await;
    assert!(left(&world).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_claim_of_that_name_that_no_server_of_the_shop_has_made_stays() {
    let world = ready_shop("Delete").await;
    let made =
        json!({ "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {}, "spec": {} });
    world
        .fake
        .with(|store| store.create(&claim(CLAIMS[0]), made))
        .expect("a claim");
    delete_shop(&world).await;
    assert_eq!(left(&world), CLAIMS[..1]);
}

//! What becomes of the volumes of a shop's servers.

use serde_json::{Value, json};

use crate::fake::{Fake, Fault, Id};
use crate::world::{World, condition, is_ready, ours, ready_shop};

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

/// Somebody deletes a claim of a server whose pod runs: Kubernetes keeps it until the pod ends.
fn begin_to_delete(world: &World, name: &str) {
    let id = claim(name);
    let protect = |it: &mut Value| {
        it["metadata"]["finalizers"] = json!(["kubernetes.io/pvc-protection"]);
    };
    let protected = world.fake.with(|store| store.update(&id, false, protect));
    protected.expect("protected");
    world.fake.delete(&id);
    let found = world.fake.with(|store| store.get(&id).cloned());
    assert!(found.expect("it stays")["metadata"]["deletionTimestamp"].is_string());
}

fn shop_says(fake: &Fake, type_: &str) -> Option<(String, String)> {
    fake.with(|store| condition(store.get(&ours("storefronts", "demo")), type_))
}

fn message(fake: &Fake, type_: &str) -> String {
    let shop = fake.with(|store| store.get(&ours("storefronts", "demo")).cloned());
    let list = shop.unwrap_or_default()["status"]["conditions"].clone();
    let mut list = list.as_array().cloned().unwrap_or_default().into_iter();
    let found = list.find(|it| it["type"] == type_).unwrap_or_default();
    found["message"].as_str().unwrap_or_default().to_owned()
}

fn template(fake: &Fake, set: &str) -> Value {
    let id = Id::new("apps", "statefulsets", "shops", set);
    let found = fake.with(|store| store.get(&id).cloned());
    found.expect("a set")["spec"]["template"].clone()
}

fn set_database_memory(world: &World, memory: &str) {
    let resources = json!({ "limits": { "memory": memory } });
    let change = |shop: &mut Value| {
        shop["spec"]["database"]["embedded"]["resources"] = resources;
        shop["spec"]["services"]["order"]["resources"] = json!({ "limits": { "memory": memory } });
    };
    let changed = world
        .fake
        .with(|store| store.update(&ours("storefronts", "demo"), false, change));
    changed.expect("changed");
}

fn memory_of_order(fake: &Fake) -> Value {
    let id = Id::new("apps", "deployments", "shops", "demo-order");
    let found = fake.with(|store| store.get(&id).cloned()).expect("there");
    found["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"].clone()
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_somebody_deletes_is_named_and_its_server_is_left_as_it_is() {
    for (name, set, type_) in [
        (CLAIMS[0], "demo-postgres", "DatabaseReady"),
        (CLAIMS[1], "demo-nats", "QueueReady"),
    ] {
        let world = ready_shop("Delete").await;
        add_claims(&world);
        world.rest().await;
        let before = template(&world.fake, set);
        let began = tokio::time::Instant::now();
        begin_to_delete(&world, name);
        let is_told = |fake: &Fake| {
            let told = Some(("False".to_owned(), "VolumeBeingDeleted".to_owned()));
            shop_says(fake, type_) == told && shop_says(fake, "Ready") == told
        };
        world.until("it is told", is_told).await;
        assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
        let stalled = shop_says(&world.fake, "Stalled");
        assert_eq!(stalled, Some(("True".into(), "VolumeBeingDeleted".into())));
        let text = message(&world.fake, "Ready");
        for part in [
            name,
            "since 2026-01-01T00:00:00Z",
            "its data are gone as soon as pod",
            set,
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }

        // What would replace its pods waits; the rest of the shop goes on.
        set_database_memory(&world, "777Mi");
        let secret = Id::new("", "secrets", "shops", "demo-postgres-admin");
        world.fake.delete(&secret);
        world
            .until("the rest goes on", |fake| {
                memory_of_order(fake) == "777Mi" && fake.with(|store| store.get(&secret).is_some())
            })
            .await;
        world.rest().await;
        assert_eq!(template(&world.fake, set), before, "{set}");
        let writes = world.fake.writes();
        world.look_again().await;
        assert_eq!(world.fake.writes(), writes, "nothing is written at rest");
        assert!(is_told(&world.fake));

        // The pod has ended, and the claim with it.
        let free = |it: &mut Value| it["metadata"]["finalizers"] = Value::Null;
        world
            .fake
            .with(|store| store.update(&claim(name), false, free))
            .expect("freed");
        world
            .until("the server is as planned", |fake| {
                template(fake, "demo-postgres")
                    .to_string()
                    .contains("777Mi")
            })
            .await;
        world
            .until("the shop is ready", |fake| is_ready(fake, "demo"))
            .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_goes_is_named_also_where_claims_may_not_be_watched() {
    let world = ready_shop("Delete").await;
    add_claims(&world);
    let fake = world.kill().await;
    fake.break_by(|request| {
        let is_claims = request.id.resource == "persistentvolumeclaims";
        (is_claims && request.id.name.is_empty()).then_some(Fault::Refused(403))
    });
    let world = World::start(fake);
    world.rest().await;
    assert!(is_ready(&world.fake, "demo"));
    let before = template(&world.fake, "demo-postgres");
    begin_to_delete(&world, CLAIMS[0]);
    set_database_memory(&world, "777Mi");
    world
        .until("it is told", |fake| {
            shop_says(fake, "DatabaseReady") == Some(("False".into(), "VolumeBeingDeleted".into()))
        })
        .await;
    world.rest().await;
    assert_eq!(template(&world.fake, "demo-postgres"), before);
}

#[tokio::test(start_paused = true)]
async fn claims_that_go_with_their_shop_are_no_fault_of_it_or_of_one_of_its_name() {
    let world = ready_shop("Delete").await;
    add_claims(&world);
    let owned = |it: &mut Value| {
        it["metadata"]["ownerReferences"] = json!([{ "apiVersion": "storefront.dev/v1alpha1",
            "kind": "Storefront", "name": "demo", "uid": "of-the-one-before" }]);
    };
    world
        .fake
        .with(|store| store.update(&claim(CLAIMS[0]), false, owned))
        .expect("owned");
    begin_to_delete(&world, CLAIMS[0]);
    world.rest().await;
    world.look_again().await;
    assert!(is_ready(&world.fake, "demo"));
}

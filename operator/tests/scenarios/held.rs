//! Children of a shop that somebody deletes and that a finalizer of somebody else keeps.

use serde_json::{Value, json};

use crate::fake::{Fake, Id};
use crate::world::{World, condition, is_ready, ours, ready_shop};

const HOLD: &str = "example.com/hold";

fn hold_and_delete(world: &World, id: &Id, finalizers: &[&str]) {
    let held = |it: &mut Value| it["metadata"]["finalizers"] = json!(finalizers);
    let changed = world.fake.with(|store| store.update(id, false, held));
    changed.expect("held");
    world.fake.delete(id);
}

fn set_finalizers(world: &World, id: &Id, finalizers: Value) {
    let change = |it: &mut Value| it["metadata"]["finalizers"] = finalizers;
    let changed = world.fake.with(|store| store.update(id, false, change));
    changed.expect("changed");
}

fn says(fake: &Fake, id: &Id, type_: &str) -> Option<(String, String)> {
    fake.with(|store| condition(store.get(id), type_))
}

fn message(fake: &Fake, id: &Id, type_: &str) -> String {
    let found = fake
        .with(|store| store.get(id).cloned())
        .unwrap_or_default();
    let list = found["status"]["conditions"].as_array().cloned();
    let mut list = list.unwrap_or_default().into_iter();
    let found = list.find(|it| it["type"] == type_).unwrap_or_default();
    found["message"].as_str().unwrap_or_default().to_owned()
}

fn exists(fake: &Fake, id: &Id) -> bool {
    fake.with(|store| store.get(id).is_some())
}

fn deployment(name: &str) -> Id {
    Id::new("apps", "deployments", "shops", name)
}

#[tokio::test(start_paused = true)]
async fn a_service_of_a_shop_that_somebody_elses_finalizer_keeps_goes_on() {
    let world = ready_shop("Delete").await;
    let (service, shop) = (
        ours("servicedeployments", "demo-order"),
        ours("storefronts", "demo"),
    );
    let pods = deployment("demo-order");
    hold_and_delete(&world, &service, &[HOLD]);
    let told = Some(("False".to_owned(), "HeldByFinalizer".to_owned()));
    world
        .until("it is told", |fake| says(fake, &service, "Ready") == told)
        .await;
    world.rest().await;
    assert_eq!(
        says(&world.fake, &service, "Stalled").expect("stalled").0,
        "True"
    );
    for (id, type_) in [
        (&service, "Ready"),
        (&shop, "ServicesReady"),
        (&shop, "Ready"),
    ] {
        let text = message(&world.fake, id, type_);
        assert!(
            text.contains("it is being deleted since 2026-01-01T00:00:00Z"),
            "{text}"
        );
        assert!(
            text.contains("the finalizer example.com/hold of somebody else"),
            "{text}"
        );
        assert!(
            text.contains("remove it from metadata.finalizers"),
            "{text}"
        );
    }

    // Its workload is put right, and follows the shop.
    world.fake.delete(&pods);
    world
        .until("the Deployment is back", |fake| exists(fake, &pods))
        .await;
    let wish = |it: &mut Value| {
        it["spec"]["services"]["order"]["resources"] = json!({ "limits": { "memory": "777Mi" } });
    };
    let changed = world.fake.with(|store| store.update(&shop, false, wish));
    changed.expect("changed");
    world
        .until("it follows the shop", |fake| {
            let found = fake
                .with(|store| store.get(&pods).cloned())
                .unwrap_or_default();
            found["spec"]["template"].to_string().contains("777Mi")
        })
        .await;
    world.rest().await;
    let before = world.fake.writes();
    world.look_again().await;
    assert_eq!(world.fake.writes(), before, "nothing is written at rest");

    let uid = |fake: &Fake| {
        let found = fake.with(|store| store.get(&service).cloned());
        found.map(|it| it["metadata"]["uid"].clone())
    };
    let old = uid(&world.fake);
    set_finalizers(&world, &service, Value::Null);
    world
        .until("another one is made, and the shop is ready", |fake| {
            uid(fake).is_some() && uid(fake) != old && is_ready(fake, "demo")
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn what_kubernetes_itself_ends_is_not_made_against_it() {
    let world = ready_shop("Delete").await;
    let service = ours("servicedeployments", "demo-order");
    let pods = deployment("demo-order");
    hold_and_delete(&world, &service, &["foregroundDeletion", HOLD]);
    world
        .until("it is told", |fake| {
            says(fake, &service, "Ready") == Some(("False".into(), "Deleting".into()))
        })
        .await;
    world.fake.delete(&pods);
    world.rest().await;
    world.look_again().await;
    assert!(!exists(&world.fake, &pods));
    // The garbage collector is done.
    set_finalizers(&world, &service, json!([HOLD]));
    world
        .until("the Deployment is back", |fake| exists(fake, &pods))
        .await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_ready_while_it_is_torn_down() {
    let world = ready_shop("Retain").await;
    let team = ours("servicedeployments", "reviews");
    let made = json!({ "apiVersion": "storefront.dev/v1alpha1", "kind": "ServiceDeployment",
        "metadata": { "finalizers": [HOLD] }, "spec": { "storefrontRef": { "name": "demo" },
            "image": "reviews:1", "port": 8080, "replicas": { "min": 1 } } });
    world
        .fake
        .with(|store| store.create(&team, made))
        .expect("a team's service");
    world
        .until("it is ready", |fake| {
            says(fake, &team, "Ready").is_some_and(|(status, _)| status == "True")
        })
        .await;
    let shop = ours("storefronts", "demo");
    let held = json!(["storefront.dev/shop", HOLD]);
    set_finalizers(&world, &shop, held);
    world.fake.delete(&team);
    world.fake.delete(&shop);
    for id in [&team, &shop] {
        world
            .until("it is told", |fake| {
                says(fake, id, "Ready") == Some(("False".into(), "Deleting".into()))
                    && message(fake, id, "Ready").contains(HOLD)
            })
            .await;
    }
    world.rest().await;
    assert!(exists(&world.fake, &team) && exists(&world.fake, &shop));
}

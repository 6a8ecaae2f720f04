//! Secrets of a shop that somebody deletes or edits.

use serde_json::{Value, json};

use crate::fake::Id;
use crate::world::{World, condition, is_ready, ours, ready_shop};

const GENERATED: [&str; 6] = [
    "demo-internal",
    "demo-signing-keys",
    "demo-postgres-admin",
    "demo-nats-logins",
    "demo-redis-logins",
    "demo-recovery",
];

fn secret(name: &str) -> Id {
    Id::new("", "secrets", "shops", name)
}

fn data(world: &World, name: &str) -> Option<Value> {
    world
        .fake
        .with(|store| store.get(&secret(name)).map(|found| found["data"].clone()))
}

/// Specs of everything that runs pods.
fn workloads(world: &World) -> Vec<Value> {
    world.fake.with(|store| {
        let found = store.all().iter();
        let found = found.filter(|(id, _)| {
            ["statefulsets", "deployments", "jobs"].contains(&id.resource.as_str())
        });
        found.map(|(_, object)| object["spec"].clone()).collect()
    })
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_was_deleted_comes_back_as_it_was_and_nothing_restarts() {
    let world = ready_shop("Delete").await;
    let before = workloads(&world);
    for name in GENERATED {
        let content = data(&world, name);
        assert!(content.is_some(), "{name}");
        world
            .fake
            .with(|store| store.delete(&secret(name), &json!({})))
            .expect("deleted");
        world
            .until("it is back", |fake| {
                fake.with(|store| store.get(&secret(name)).is_some())
            })
            .await;
        world.rest().await;
        assert_eq!(data(&world, name), content, "{name}");
    }
    assert_eq!(workloads(&world), before);
    assert!(is_ready(&world.fake, "demo"));
}

#[tokio::test(start_paused = true)]
async fn a_password_that_was_edited_is_put_back() {
    let world = ready_shop("Delete").await;
    for (name, key) in [("demo-nats-logins", "key"), ("demo-internal", "token")] {
        let content = data(&world, name);
        let edit = |object: &mut Value| object["data"][key] = "c3RvbGVu".into();
        world
            .fake
            .with(|store| store.update(&secret(name), false, edit))
            .expect("edited");
        world.rest().await;
        assert_eq!(data(&world, name), content, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn secrets_that_were_all_deleted_are_made_anew_and_the_servers_restart_with_them() {
    let world = ready_shop("Delete").await;
    let before = workloads(&world);
    // At one moment, as `kubectl delete secret --all` does.
    world.fake.with(|store| {
        for name in GENERATED {
            store.delete(&secret(name), &json!({})).expect("deleted");
        }
    });
    world
        .until("they are back", |fake| {
            fake.with(|store| {
                GENERATED
                    .iter()
                    .all(|name| store.get(&secret(name)).is_some())
            })
        })
        .await;
    world.rest().await;
    assert_ne!(workloads(&world), before);
    let auth = data(&world, "demo-nats-logins").expect("one");
    let copies = data(&world, "demo-recovery").expect("one");
    assert_eq!(copies["nats-logins.key"], auth["key"]);
}

#[tokio::test(start_paused = true)]
async fn a_service_of_a_team_mounts_a_secret_once_its_owner_allows_it() {
    let world = ready_shop("Delete").await;
    let keys =
        json!({ "apiVersion": "v1", "kind": "Secret", "data": { "key": "eA==" }, "metadata": {} });
    let reviews = json!({ "apiVersion": "storefront.dev/v1alpha1", "kind": "ServiceDeployment", "metadata": {},
        "spec": { "storefrontRef": { "name": "demo" }, "image": "reviews:1",
            "bindings": [{ "name": "keys", "secretRef": { "name": "keys" } }] } });
    let service = ours("servicedeployments", "reviews");
    let create = |id: &Id, object: Value| world.fake.with(|store| store.create(id, object));
    create(&secret("keys"), keys).expect("made");
    create(&service, reviews).expect("made");
    world
        .until("it is refused", |fake| {
            let ready = fake.with(|store| condition(store.get(&service), "Ready"));
            ready.is_some_and(|(_, reason)| reason == "SecretNotAllowed")
        })
        .await;
    let deployment = Id::new("apps", "deployments", "shops", "reviews");
    let is_made = |world: &World| world.fake.with(|store| store.get(&deployment).is_some());
    assert!(!is_made(&world));
    let label = |object: &mut Value| {
        object["metadata"]["labels"] = json!({ "storefront.dev/mountable": "true" });
    };
    let labelled = world
        .fake
        .with(|store| store.update(&secret("keys"), false, label));
    labelled.expect("labelled");
    world
        .until("it is mounted", |fake| {
            fake.with(|store| store.get(&deployment).is_some())
        })
        .await;
}

//! How bindings end, whoever went before them.

use super::api::instant;
use super::life::{database, owner_of};
use super::scenarios::{made, silent};
use super::world::World;
use serde_json::json;

/// The age of a deletion, as if nobody had been able to end it for so long.
fn backdate(world: &World, name: &str, age: &str) {
    let time = jiff::Timestamp::now() - age.parse::<jiff::SignedDuration>().expect("a duration");
    world.api.edit(&world.binding_path(name), |binding| {
        binding["metadata"]["deletionTimestamp"] = instant(time).into();
    });
}

#[tokio::test]
async fn a_stale_copy_of_a_dead_object_makes_nothing() {
    let mut world = World::new();
    let shop = database(&world);
    made(&mut world, "own", owner_of(&shop, &[])).await;
    let ghost = world.binding("own").expect("the binding");
    world.api.delete(&world.binding_path("own"));
    world.settle("own").await;
    world
        .reconcile(&ghost)
        .await
        .expect("a ghost is no failure");
    assert_eq!(world.roles().await, [""; 0]);
    assert_eq!(world.api.paths("secrets"), [world.secret_path("server")]);
}

#[tokio::test]
async fn a_binding_whose_servers_secret_went_first_leaves_no_login_role() {
    let mut world = World::new();
    let shop = database(&world);
    made(&mut world, "own", owner_of(&shop, &[])).await;
    let server = world.server.clone();
    world.api.delete(&world.secret_path("server"));
    world.api.delete(&world.binding_path("own"));
    drop(world.once("own").await);
    assert_eq!(world.ready("own").1, "ServerSecretNotFound");
    let message = world.message("own");
    assert!(message.contains("Secret server"), "{message}");
    assert!(message.contains("storefront.dev/abandon"), "{message}");
    world.put_server(&server);
    world.settle("own").await;
    assert!(world.binding("own").is_none(), "{}", world.message("own"));
    assert_eq!(world.roles().await, [""; 0]);
    assert_eq!(world.databases().await, [""; 0]);
}

#[tokio::test]
async fn a_binding_does_not_hold_up_the_end_of_its_namespace() {
    let mut world = World::new();
    let shop = database(&world);
    made(&mut world, "own", owner_of(&shop, &[])).await;
    world.api.delete(&world.secret_path("server"));
    world.api.delete(&world.binding_path("own"));
    world.api.end_namespace(&world.namespace);
    world.settle("own").await;
    assert!(world.binding("own").is_none(), "{}", world.message("own"));
    assert_eq!(world.api.paths("secrets"), [""; 0]);
    world.clean().await;
}

/// A binding that a shop has made for itself.
async fn made_by_shop(world: &mut World, policy: &str) {
    world.put_storefront("demo", policy);
    let shop = world.api.get(&world.storefront_path("demo"));
    let uid = shop.expect("the shop")["metadata"]["uid"].clone();
    let spec = json!({ "serverRef": { "storefront": "demo" }, "reclaimPolicy": "Retain" });
    world.create("own", spec);
    world.api.edit(&world.binding_path("own"), |binding| {
        binding["metadata"]["ownerReferences"] = json!([{
            "apiVersion": "storefront.dev/v1alpha1", "kind": "Storefront", "name": "demo",
            "uid": uid, "controller": true,
        }]);
    });
    world.settle("own").await;
}

#[tokio::test]
async fn a_shops_own_database_outlives_its_binding_while_the_shop_does_not_end() {
    let mut world = World::new();
    made_by_shop(&mut world, "Delete").await;
    let databases = world.databases().await;
    assert_eq!(databases.len(), 1);
    world.api.delete(&world.binding_path("own"));
    world.settle("own").await;
    assert!(world.binding("own").is_none(), "{}", world.message("own"));
    assert_eq!(world.databases().await, databases);
    world.clean().await;
}

#[tokio::test]
async fn a_shops_own_database_is_dumped_whichever_of_the_two_was_deleted_first() {
    let mut world = World::new();
    made_by_shop(&mut world, "BackupThenDelete").await;
    world.api.delete(&world.binding_path("own"));
    world.api.delete(&world.storefront_path("demo"));
    drop(world.once("own").await);
    assert_eq!(world.ready("own").1, "BackingUp");
    // Nor is it given up when the server goes in the middle.
    let (_listener, silent) = silent(&world);
    world.put_secret("demo-postgres-admin", &silent);
    backdate(&world, "own", "PT3600S");
    drop(world.once("own").await);
    assert_eq!(world.ready("own").1, "ServerSilent");
    world.clean().await;
}

#[tokio::test]
async fn a_binding_ends_when_its_shop_is_gone_or_goes_with_its_data() {
    for shop_is_gone in [true, false] {
        let mut world = World::new();
        world.put_storefront("demo", "Delete");
        let spec = json!({ "serverRef": { "storefront": "demo" }, "reclaimPolicy": "Delete" });
        made(&mut world, "own", spec).await;
        assert_eq!(world.ready("own").0, "True", "{}", world.message("own"));
        let (_listener, silent) = silent(&world);
        world.put_secret("demo-postgres-admin", &silent);
        let path = world.storefront_path("demo");
        if shop_is_gone {
            world
                .api
                .edit(&path, |shop| shop["metadata"]["finalizers"] = json!([]));
        }
        world.api.delete(&path);
        world.api.delete(&world.binding_path("own"));
        world.settle("own").await;
        assert!(world.binding("own").is_none(), "{}", world.message("own"));
        world.clean().await;
    }
}

#[tokio::test]
async fn a_silent_server_is_asked_as_long_as_the_rule_says() {
    let mut world = World::new();
    for (name, policy) in [("keep", "Retain"), ("drop", "Delete")] {
        let mut spec = owner_of(&format!("{}_{name}", world.namespace), &[]);
        spec["reclaimPolicy"] = policy.into();
        made(&mut world, name, spec).await;
    }
    let (_listener, silent) = silent(&world);
    world.put_server(&silent);
    for name in ["keep", "drop"] {
        world.api.delete(&world.binding_path(name));
        drop(world.once(name).await);
        assert_eq!(
            world.ready(name).1,
            "ServerSilent",
            "{}",
            world.message(name)
        );
        backdate(&world, name, "PT599S");
        drop(world.once(name).await);
        assert!(
            world.binding(name).is_some(),
            "{name} is held before its time"
        );
        backdate(&world, name, "PT601S");
        drop(world.once(name).await);
    }
    assert!(
        world.binding("keep").is_none(),
        "no data was to go, so it is let go"
    );
    assert!(
        world.binding("drop").is_some(),
        "data was to go, so it is held"
    );
    assert!(
        world.message("drop").contains("storefront.dev/abandon"),
        "{}",
        world.message("drop")
    );
    world.api.edit(&world.binding_path("drop"), |binding| {
        binding["metadata"]["annotations"] = json!({ "storefront.dev/abandon": "true" });
    });
    drop(world.once("drop").await);
    assert!(world.binding("drop").is_none());
    world.clean().await;
}

#[tokio::test]
async fn a_database_is_dropped_only_after_its_dump() {
    let mut world = World::new();
    let shop = database(&world);
    let mut spec = owner_of(&shop, &[]);
    spec["reclaimPolicy"] = "BackupThenDelete".into();
    made(&mut world, "own", spec).await;
    // That lets go of a binding that cannot be ended; here nothing is in the way.
    world.api.edit(&world.binding_path("own"), |binding| {
        binding["metadata"]["annotations"] = json!({ "storefront.dev/abandon": "true" });
    });
    world.api.delete(&world.binding_path("own"));
    drop(world.once("own").await);
    assert_eq!(world.ready("own").1, "BackingUp");
    world.api.edit(&world.binding_path("own"), |binding| {
        binding["metadata"]["annotations"] = json!({});
    });
    let job = world.api.paths("jobs").pop().expect("a Job");
    let finish = |world: &World, condition: &str| {
        world.api.edit(&job, |job| {
            job["status"] = json!({ "conditions": [{ "type": condition, "status": "True" }] });
        });
    };
    finish(&world, "Failed");
    drop(world.once("own").await);
    assert_eq!(world.ready("own").1, "BackupFailed");
    assert_eq!(
        world.databases().await,
        [shop.as_str()],
        "nothing is dropped without a dump"
    );
    finish(&world, "Complete");
    world.settle("own").await;
    assert!(world.binding("own").is_none(), "{}", world.message("own"));
    assert_eq!(world.databases().await, [""; 0]);
    assert_eq!(world.roles().await, [""; 0]);
}

#[tokio::test]
async fn a_successor_sweeps_up_behind_an_object_that_was_torn_away() {
    let mut world = World::new();
    world.put_storefront("demo", "Retain");
    let spec = json!({ "serverRef": { "storefront": "demo" } });
    made(&mut world, "own", spec.clone()).await;
    let secret = world.secret_of("own");
    let old = world.keys_of("own")["username"].clone();
    let path = world.binding_path("own");
    world.api.edit(&path, |binding| {
        binding["metadata"]["finalizers"] = json!([]);
    });
    world.api.delete(&path);
    // The garbage collector's part.
    world.api.delete(&world.secret_path(&secret));
    made(&mut world, "own", spec).await;
    assert_eq!(world.ready("own").0, "True", "{}", world.message("own"));
    let roles = world.roles().await;
    assert_eq!(roles.len(), 4, "{roles:?}");
    assert!(!roles.contains(&old), "{roles:?}");
    world.clean().await;
}

#[tokio::test]
async fn a_shops_own_binding_is_given_up_by_an_annotation_of_the_storefront_alone() {
    let mut world = World::new();
    world.put_storefront("demo", "BackupThenDelete");
    let server = json!({ "storefront": "demo" });
    let spec = json!({ "serverRef": server, "reclaimPolicy": "BackupThenDelete" });
    made(&mut world, "demo-order", spec).await;
    assert_eq!(world.ready("demo-order").0, "True");
    let (_listener, silent) = silent(&world);
    world.put_secret("demo-postgres-admin", &silent);
    world.api.delete(&world.storefront_path("demo"));
    world.api.delete(&world.binding_path("demo-order"));
    let yes = json!({ "storefront.dev/abandon": "true" });
    world
        .api
        .edit(&world.binding_path("demo-order"), |binding| {
            binding["metadata"]["annotations"] = yes.clone();
        });
    drop(world.once("demo-order").await);
    assert_eq!(world.ready("demo-order").1, "ServerSilent");
    let message = world.message("demo-order");
    let how = "annotate Storefront demo with storefront.dev/abandon=true";
    assert!(message.contains(how), "{message}");
    world.api.edit(&world.storefront_path("demo"), |shop| {
        shop["metadata"]["annotations"] = yes.clone();
    });
    drop(world.once("demo-order").await);
    assert!(world.binding("demo-order").is_none());
    world.clean().await;
}

#[tokio::test]
async fn a_rotation_that_somebody_writes_into_a_shops_own_binding_ends_no_session() {
    let mut world = World::new();
    world.put_storefront("demo", "Retain");
    let spec = json!({ "serverRef": { "storefront": "demo" } });
    made(&mut world, "demo-order", spec).await;
    let past = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(1);
    world
        .api
        .edit(&world.binding_path("demo-order"), |binding| {
            binding["metadata"]["creationTimestamp"] = instant(past).into();
            binding["spec"]["rotation"] = json!({ "every": "10m", "overlap": "10s" });
        });
    let secret = world.secret_of("demo-order");
    world.settle("demo-order").await;
    assert_eq!(world.secret_of("demo-order"), secret);
    // The Storefront may ask for it.
    world.api.edit(&world.storefront_path("demo"), |shop| {
        let rotation = json!({ "every": "10m", "overlap": "10s" });
        shop["spec"]["database"] = json!({ "embedded": {}, "rotation": rotation });
    });
    world.settle("demo-order").await;
    assert_ne!(world.secret_of("demo-order"), secret);
    world.clean().await;
}

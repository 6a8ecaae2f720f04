//! Bindings of a shop that somebody deletes and that a finalizer of somebody else keeps.

use operator_plan::database_binding::FINALIZER;
use serde_json::json;

use super::world::World;

const HOLD: &str = "example.com/hold";
/// One of the shop's own, by its name.
const NAME: &str = "demo-order";

/// A binding of the shop that is in use, with a finalizer of somebody else.
async fn held_by_somebody() -> World {
    let mut world = World::new();
    world.put_storefront("demo", "Retain");
    let spec = json!({ "serverRef": { "storefront": "demo" }, "reclaimPolicy": "Retain" });
    world.create(NAME, spec);
    world.settle(NAME).await;
    assert_eq!(world.ready(NAME).0, "True", "{}", world.message(NAME));
    set_finalizers(&world, &[FINALIZER, HOLD]);
    world
}

fn set_finalizers(world: &World, finalizers: &[&str]) {
    world.api.edit(&world.binding_path(NAME), |binding| {
        binding["metadata"]["finalizers"] = json!(finalizers);
    });
}

#[tokio::test]
async fn a_binding_of_a_shop_that_somebody_elses_finalizer_keeps_goes_on() {
    let mut world = held_by_somebody().await;
    let databases = world.databases().await;
    world.api.delete(&world.binding_path(NAME));
    world.settle(NAME).await;
    assert_eq!(
        world.ready(NAME),
        ("False".into(), "HeldByFinalizer".into())
    );
    let message = world.message(NAME);
    for part in [
        "it is being deleted since",
        "the finalizer example.com/hold of somebody else",
        "remove it from metadata.finalizers",
    ] {
        assert!(message.contains(part), "{message}");
    }
    let before = world.api.writes();
    world.settle(NAME).await;
    assert_eq!(world.api.writes(), before, "nothing is written at rest");

    // Its credentials work, and come back when they are lost.
    drop(world.log_in(&world.secret_of(NAME)).await.expect("a login"));
    world.api.delete(&world.secret_path(&world.secret_of(NAME)));
    world.settle(NAME).await;
    drop(world.log_in(&world.secret_of(NAME)).await.expect("a login"));

    set_finalizers(&world, &[FINALIZER]);
    world.settle(NAME).await;
    assert!(world.binding(NAME).is_none(), "{}", world.message(NAME));
    assert_eq!(world.databases().await, databases);
    world.clean().await;
}

#[tokio::test]
async fn a_binding_that_an_operator_of_before_has_ended_gets_its_credentials_back() {
    let mut world = held_by_somebody().await;
    world.api.delete(&world.secret_path(&world.secret_of(NAME)));
    set_finalizers(&world, &[HOLD]);
    world.api.delete(&world.binding_path(NAME));
    world.settle(NAME).await;
    assert_eq!(
        world.ready(NAME),
        ("False".into(), "HeldByFinalizer".into())
    );
    drop(world.log_in(&world.secret_of(NAME)).await.expect("a login"));
    let binding = world.binding(NAME).expect("it stays");
    // An object that is being deleted takes no new finalizer.
    assert_eq!(binding.metadata.finalizers, Some(vec![HOLD.to_owned()]));
    set_finalizers(&world, &[]);
    world.clean().await;
}

#[tokio::test]
async fn a_binding_of_a_shop_that_ends_is_ended_and_is_not_ready_meanwhile() {
    let mut world = held_by_somebody().await;
    world.api.delete(&world.storefront_path("demo"));
    world.api.delete(&world.binding_path(NAME));
    world.settle(NAME).await;
    assert_eq!(world.ready(NAME), ("False".into(), "Deleting".into()));
    let message = world.message(NAME);
    assert!(message.contains(HOLD), "{message}");
    let binding = world.binding(NAME).expect("it stays");
    assert_eq!(binding.metadata.finalizers, Some(vec![HOLD.to_owned()]));
    set_finalizers(&world, &[]);
    world.clean().await;
}

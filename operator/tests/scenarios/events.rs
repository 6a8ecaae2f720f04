//! What is told by events: turns of readiness, each once.

use crate::fake::Id;
use crate::world::{World, is_ready, pause, ready_shop};

#[tokio::test(start_paused = true)]
async fn readiness_is_told_once() {
    let world = ready_shop("Delete").await;
    let told = |world: &World| {
        let events = world.fake.events_about("demo");
        events.iter().filter(|reason| *reason == "Ready").count()
    };
    assert_eq!(told(&world), 1, "{:?}", world.fake.events_about("demo"));
    for _ in 0..5 {
        world.look_again().await;
    }
    assert_eq!(told(&world), 1);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_being_ready_is_a_warning_and_coming_up_is_none() {
    let world = ready_shop("Delete").await;
    let warnings = |world: &World| {
        let told = world.fake.told_about("demo").into_iter();
        let warnings = told.filter(|(kind, _)| kind == "Warning");
        warnings.map(|(_, reason)| reason).collect::<Vec<_>>()
    };
    assert!(
        warnings(&world).is_empty(),
        "{:?}",
        world.fake.told_about("demo")
    );
    let queue = Id::new("apps", "statefulsets", "shops", "demo-nats");
    world.fake.with(|store| store.set_sick(&queue, true));
    world
        .until("it is told", |fake| !is_ready(fake, "demo"))
        .await;
    world.rest().await;
    assert_eq!(warnings(&world), ["QueueNotReady"]);
    world.fake.with(|store| store.set_sick(&queue, false));
    world
        .until("the shop is ready", |fake| is_ready(fake, "demo"))
        .await;
    pause(&world.fake);
    world.rest().await;
    assert_eq!(warnings(&world), ["QueueNotReady"]);
}

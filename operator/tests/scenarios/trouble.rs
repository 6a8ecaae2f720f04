//! What a user reads when something is wrong that the operator cannot put right.

use serde_json::{Value, json};

use crate::fake::{Fake, Id};
use crate::world::{World, cluster_with_shop, condition, is_ready, ours};

/// The message of a condition.
fn message(fake: &Fake, id: &Id, wanted: &str) -> String {
    let object = fake
        .with(|store| store.get(id).cloned())
        .unwrap_or_default();
    let conditions = object["status"]["conditions"].as_array().cloned();
    let found = conditions
        .into_iter()
        .flatten()
        .find(|condition| condition["type"] == wanted);
    let text = found.map(|condition| condition["message"].clone());
    text.as_ref()
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

/// A shop of this release; that of `missing` has no images.
fn set_version(fake: &Fake, version: &str) {
    let set = |shop: &mut Value| shop["spec"]["version"] = version.into();
    fake.with(|store| store.update(&ours("storefronts", "demo"), false, set))
        .expect("changed");
}

#[tokio::test(start_paused = true)]
async fn a_shop_whose_images_are_not_there_names_them_until_they_are() {
    let fake = cluster_with_shop("Delete");
    set_version(&fake, "missing");
    let world = World::start(fake);
    let shop = ours("storefronts", "demo");
    world
        .until("the shop names its image", |fake| {
            let text = message(fake, &shop, "Ready");
            text.contains(
                "Pod demo-postgres-0: image registry.test/postgres:missing cannot be pulled",
            )
        })
        .await;
    for (type_, image) in [
        ("DatabaseReady", "registry.test/postgres:missing"),
        ("QueueReady", "registry.test/nats:missing"),
        ("CacheReady", "registry.test/redis:missing"),
    ] {
        let text = message(&world.fake, &shop, type_);
        assert!(text.contains(image), "{type_}: {text}");
    }
    let auth = ours("servicedeployments", "demo-auth");
    world
        .until("a migration names its image", |fake| {
            message(fake, &auth, "Migrated").contains("registry.test/auth:missing")
        })
        .await;
    let web = ours("servicedeployments", "demo-web");
    world
        .until("a workload names its image", |fake| {
            message(fake, &web, "Available").contains("registry.test/web:missing")
        })
        .await;
    let reasons = world.fake.with(|store| {
        [
            condition(store.get(&auth), "Ready"),
            condition(store.get(&web), "Ready"),
            condition(store.get(&shop), "Ready"),
        ]
    });
    let no = |reason: &str| Some(("False".to_owned(), reason.to_owned()));
    assert_eq!(
        reasons,
        [
            no("ImagePullBackOff"),
            no("ImagePullBackOff"),
            no("DatabaseNotReady")
        ]
    );
    let blocker = world.fake.with(|store| {
        store
            .get(&shop)
            .map(|shop| shop["status"]["blockedBy"].clone())
    });
    let text = blocker.unwrap_or_default()["message"].to_string();
    assert!(text.contains("postgres:missing"), "{text}");

    set_version(&world.fake, "1.0.0");
    world
        .until("the shop is ready", |fake| is_ready(fake, "demo"))
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_shop_that_stays_in_trouble_is_looked_at_and_not_written() {
    let fake = cluster_with_shop("Delete");
    set_version(&fake, "missing");
    let world = World::start(fake);
    tokio::time::sleep(std::time::Duration::from_secs(300)).await;
    let text = message(&world.fake, &ours("storefronts", "demo"), "Ready");
    assert!(text.contains("does not have it"), "{text}");
    let pod = Id::new("", "pods", "shops", "demo-postgres-0");
    let lists = |fake: &Fake| {
        let listed = fake.listed();
        listed.iter().filter(|(kind, _)| kind == "pods").count()
    };
    let (writes, before) = (world.fake.writes(), lists(&world.fake));
    for turn in 0..20 {
        let (reason, said) = if turn % 2 == 0 {
            (
                "ImagePullBackOff",
                "Back-off pulling image: manifest unknown",
            )
        } else {
            ("ErrImagePull", "manifest unknown")
        };
        let state = json!({ "waiting": { "reason": reason, "message": said } });
        let set = |pod: &mut Value| pod["status"]["containerStatuses"][0]["state"] = state;
        world
            .fake
            .with(|store| store.update(&pod, true, set))
            .expect("changed");
        tokio::time::sleep(std::time::Duration::from_secs(30)).await;
    }
    assert_eq!(world.fake.writes(), writes);
    // Ten workloads for ten minutes, and no time passes for conditions here: every five seconds.
    let asked = lists(&world.fake) - before;
    assert!((20..=1300).contains(&asked), "{asked}");
}

#[tokio::test(start_paused = true)]
async fn nobody_asks_the_pods_of_a_shop_that_is_well() {
    let world = World::start(cluster_with_shop("Delete"));
    world
        .until("the shop is ready", |fake| is_ready(fake, "demo"))
        .await;
    world.rest().await;
    let lists = |fake: &Fake| {
        let listed = fake.listed();
        listed.iter().filter(|(kind, _)| kind == "pods").count()
    };
    let before = lists(&world.fake);
    world.look_again().await;
    tokio::time::sleep(std::time::Duration::from_secs(3600)).await;
    assert_eq!(lists(&world.fake), before);
}

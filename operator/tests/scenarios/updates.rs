//! A newer operator shows what it would change, and changes it once it is asked to.

use serde_json::{Value, json};

use crate::fake::{Fake, Id, Request};
use crate::faults::{DEATHS, killed_at};
use crate::world::{World, condition, is_ready, ours, pause, picture, ready_shop};

/// What the templates of the newer operator have more.
const MARK: &str = "storefront.dev/rehearsal";

fn newer(fake: Fake) -> World {
    World::start_release(fake, "2.0.0")
}

fn shop(fake: &Fake) -> Value {
    let found = fake.with(|store| store.get(&ours("storefronts", "demo")).cloned());
    found.expect("the shop")
}

fn change(fake: &Fake, edit: impl FnOnce(&mut Value)) {
    let changed = fake.with(|store| store.update(&ours("storefronts", "demo"), false, edit));
    changed.expect("changed");
}

fn deployment(name: &str) -> Id {
    Id::new("apps", "deployments", "shops", name)
}

fn template(fake: &Fake, name: &str) -> Value {
    let found = fake.with(|store| store.get(&deployment(name)).cloned());
    found.expect("a Deployment")["spec"]["template"].clone()
}

/// The images of the workloads, and whether their pods have the mark.
fn pods(fake: &Fake) -> Vec<(String, String, bool)> {
    let workloads = ["deployments", "statefulsets"];
    let found = workloads.map(|kind| fake.with(|store| store.list("apps", kind, "shops")));
    let found = found.into_iter().flatten();
    let seen = found.map(|(id, it)| {
        let template = &it["spec"]["template"];
        let image = template["spec"]["containers"][0]["image"].as_str();
        let is_marked = template["metadata"]["annotations"][MARK].is_string();
        (id.name, image.unwrap_or_default().to_owned(), is_marked)
    });
    seen.collect()
}

/// After so many requests, the status of the shop was written once, and nothing else.
fn assert_only_the_status_was_written(fake: &Fake, before: usize) {
    let writes = fake.requests().into_iter().skip(before);
    let writes: Vec<_> = writes
        .filter(Request::is_write)
        .map(|request| (request.id, request.subresource))
        .collect();
    let status = (ours("storefronts", "demo"), "status".to_owned());
    assert_eq!(writes, [status], "once, and no pods");
}

fn is_updated(fake: &Fake) -> bool {
    let shop = shop(fake);
    is_ready(fake, "demo")
        && shop["status"]["version"] == "2.0.0"
        && condition(Some(&shop), "UpdateAvailable").is_none()
}

#[tokio::test(start_paused = true)]
async fn a_newer_operator_shows_what_it_would_change_and_writes_nothing_else() {
    let fake = ready_shop("Delete").await.kill().await;
    assert_eq!(condition(Some(&shop(&fake)), "UpdateAvailable"), None);
    let (before, running) = (fake.requests().len(), pods(&fake));
    let world = newer(fake);
    world.rest().await;
    world.look_again().await;
    assert_only_the_status_was_written(&world.fake, before);
    assert_eq!(pods(&world.fake), running);

    let shop = shop(&world.fake);
    let status = &shop["status"];
    assert!(is_ready(&world.fake, "demo"));
    assert_eq!(status["version"], "1.0.0");
    assert_eq!(status["availableVersion"], "2.0.0");
    let all = status["conditions"].as_array().expect("conditions");
    let update = all.iter().find(|it| it["type"] == "UpdateAvailable");
    let update = update.expect("an update");
    assert_eq!(
        (&update["status"], &update["reason"]),
        (&json!("True"), &json!("NewerRelease"))
    );
    assert_eq!(
        update["message"],
        "release 2.0.0 would change all parts: images registry.test/*:2.0.0 in place of registry.test/*:1.0.0, \
         because each release has its own; services: the annotation storefront.dev/rehearsal on their pods, because \
         the operator rehearses an update. Set spec.version to 2.0.0 to take it"
    );
}

#[tokio::test(start_paused = true)]
async fn what_somebody_else_changes_is_put_right_as_the_shops_release_has_it() {
    let world = newer(ready_shop("Delete").await.kill().await);
    world.rest().await;
    for name in ["demo-order", "demo-gateway"] {
        let before = template(&world.fake, name);
        let edit = |it: &mut Value| {
            it["spec"]["template"]["spec"]["containers"][0]["image"] = "evil.test/order:1".into();
        };
        world
            .fake
            .with(|store| store.update(&deployment(name), false, edit))
            .expect("changed");
        world
            .until("it is as it was", |fake| template(fake, name) == before)
            .await;
    }
    world.rest().await;
    let before = pods(&world.fake);
    let gone = deployment("demo-user");
    world
        .fake
        .with(|store| store.delete(&gone, &json!({})))
        .expect("deleted");
    world
        .until("it is there again", |fake| {
            fake.with(|store| store.get(&gone).is_some())
        })
        .await;
    world.rest().await;
    assert_eq!(pods(&world.fake), before);
}

#[tokio::test(start_paused = true)]
async fn an_update_is_taken_once_the_spec_names_it_or_takes_every_one() {
    for spec in [
        json!({ "version": "2.0.0" }),
        json!({ "update": "Automatic" }),
    ] {
        let world = newer(ready_shop("Delete").await.kill().await);
        world.rest().await;
        change(&world.fake, |shop| {
            for (field, value) in spec.as_object().expect("fields") {
                shop["spec"][field] = value.clone();
            }
        });
        world.until("it is taken", is_updated).await;
        world.rest().await;
        for (name, image, is_marked) in pods(&world.fake) {
            assert!(image.ends_with(":2.0.0"), "{name} runs {image}");
            let is_server = ["nats", "postgres", "redis", "gateway"].iter();
            let is_server = is_server.copied().any(|it| name.ends_with(it));
            assert_eq!(is_marked, !is_server, "{name}");
        }
        assert_eq!(shop(&world.fake)["status"].get("availableVersion"), None);
        let before = world.fake.writes();
        world.look_again().await;
        assert_eq!(world.fake.writes(), before, "{spec}");

        // An operator of an older release offers nothing, and takes nothing back but what it does not know.
        let world = World::start(world.kill().await);
        world.rest().await;
        let shop = shop(&world.fake);
        assert_eq!(shop["status"]["version"], "2.0.0");
        assert_eq!(condition(Some(&shop), "UpdateAvailable"), None);
        assert!(
            pods(&world.fake)
                .iter()
                .all(|(_, image, _)| image.ends_with(":2.0.0"))
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_update_that_is_killed_again_and_again_ends_in_the_same_place() {
    let mut pictures = Vec::new();
    for deaths in [&[][..], &DEATHS] {
        let mut fake = ready_shop("Delete").await.kill().await;
        change(&fake, |shop| shop["spec"]["version"] = "2.0.0".into());
        for requests in deaths {
            fake = killed_at(fake, *requests, newer).await;
        }
        let world = newer(fake);
        world.until("it is taken", is_updated).await;
        world.rest().await;
        pictures.push(picture(&world.fake));
    }
    let [clean, end] = &pictures[..] else {
        panic!("two runs");
    };
    let differs: Vec<_> = end.iter().filter(|line| !clean.contains(line)).collect();
    assert!(
        differs.is_empty() && end.len() == clean.len(),
        "{differs:#?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_shop_that_an_operator_made_which_recorded_no_templates_keeps_its_pods_too() {
    let fake = ready_shop("Delete").await.kill().await;
    change(&fake, |shop| {
        let status = shop["status"].as_object_mut().expect("a status");
        status.remove("templates").expect("recorded");
        status.remove("images").expect("recorded");
    });
    let running = pods(&fake);
    let world = newer(fake);
    world.rest().await;
    assert_eq!(pods(&world.fake), running);
    let shop = shop(&world.fake);
    assert_eq!(shop["status"]["templates"], 1);
    assert_eq!(shop["status"]["images"]["tag"], "1.0.0");
    assert_eq!(
        condition(Some(&shop), "UpdateAvailable").map(|it| it.0),
        Some("True".to_owned())
    );
}

#[tokio::test(start_paused = true)]
async fn a_paused_shop_shows_an_update_too_and_nothing_else_is_written() {
    let fake = ready_shop("Delete").await.kill().await;
    pause(&fake);
    let world = World::start(fake);
    world.rest().await;
    let fake = world.kill().await;
    let (before, running) = (fake.requests().len(), pods(&fake));
    let world = newer(fake);
    world.rest().await;
    world.look_again().await;
    let paused = shop(&world.fake);
    assert_eq!(paused["status"]["availableVersion"], "2.0.0");
    let update = condition(Some(&paused), "UpdateAvailable");
    assert_eq!(update, Some(("True".into(), "NewerRelease".into())));
    assert_only_the_status_was_written(&world.fake, before);
    assert_eq!(pods(&world.fake), running);
}

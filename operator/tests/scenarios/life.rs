//! The life of a shop: from nothing to ready, put right when changed, and to its end.

use serde_json::{Value, json};

use crate::fake::{Fake, Id};
use crate::world::{
    World, add_shop, cluster_with_shop, condition, is_ready, ours, pause, ready_shop,
};

/// What is in the shop's namespace, events aside.
fn left(fake: &Fake) -> Vec<Id> {
    fake.with(|store| {
        let ids = store.all().keys();
        let ids = ids.filter(|id| id.namespace == "shops" && id.resource != "events");
        ids.cloned().collect()
    })
}

fn names(fake: &Fake, group: &str, resource: &str) -> Vec<String> {
    let found = fake.with(|store| store.list(group, resource, "shops"));
    found.into_iter().map(|(id, _)| id.name).collect()
}

#[tokio::test(start_paused = true)]
async fn a_shop_comes_up_from_nothing() {
    let world = ready_shop("Delete").await;
    let services = names(&world.fake, "storefront.dev", "servicedeployments");
    assert_eq!(services.len(), 7, "{services:?}");
    let deployments = names(&world.fake, "apps", "deployments");
    for wanted in ["demo-auth", "demo-web", "demo-redis", "demo-gateway"] {
        assert!(
            deployments.contains(&wanted.to_owned()),
            "{wanted} in {deployments:?}"
        );
    }
    assert!(!names(&world.fake, "gateway.networking.k8s.io", "httproutes").is_empty());
    let shop = world
        .fake
        .with(|store| store.get(&ours("storefronts", "demo")).cloned());
    let shop = shop.expect("the shop");
    assert_eq!(shop["status"]["services"]["summary"], "7/7");
    assert_eq!(shop["status"]["version"], "1.0.0");
    assert_eq!(condition(Some(&shop), "Reconciling"), None);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_written_when_nothing_changes() {
    let world = ready_shop("Delete").await;
    let before = world.fake.writes();
    for _ in 0..20 {
        world.look_again().await;
    }
    let new: Vec<_> = world
        .fake
        .requests()
        .into_iter()
        .filter(crate::fake::Request::is_write)
        .skip(before)
        .collect();
    assert_eq!(world.fake.writes(), before, "{new:?}");
}

#[tokio::test(start_paused = true)]
async fn a_new_process_finds_everything_right_and_writes_nothing() {
    let fake = ready_shop("Delete").await.kill().await;
    let before = fake.writes();
    let world = World::start(fake);
    world.rest().await;
    world.look_again().await;
    assert_eq!(world.fake.writes(), before);
}

#[tokio::test(start_paused = true)]
async fn what_is_deleted_returns_and_what_is_changed_is_put_right() {
    let world = ready_shop("Delete").await;
    let service = Id::new("", "services", "shops", "demo-auth");
    let deployment = Id::new("apps", "deployments", "shops", "demo-order");
    let policy = Id::new(
        "networking.k8s.io",
        "networkpolicies",
        "shops",
        "demo-order",
    );
    let image = |fake: &Fake| {
        let found = fake
            .with(|store| store.get(&deployment).cloned())
            .expect("a deployment");
        found["spec"]["template"]["spec"]["containers"][0]["image"].clone()
    };
    let right = image(&world.fake);
    world.fake.delete(&service);
    world.fake.delete(&policy);
    let evil = |object: &mut serde_json::Value| {
        object["spec"]["template"]["spec"]["containers"][0]["image"] = "evil:1".into();
    };
    world
        .fake
        .with(|store| store.update(&deployment, false, evil))
        .expect("changed");
    let began = tokio::time::Instant::now();
    world
        .until("the Service is back", |fake| {
            fake.with(|store| store.get(&service).is_some())
        })
        .await;
    world
        .until("the policy is back", |fake| {
            fake.with(|store| store.get(&policy).is_some())
        })
        .await;
    world
        .until("the image is right", |fake| image(fake) == right)
        .await;
    assert!(began.elapsed().as_secs() < 2, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn no_pod_goes_while_an_autoscaler_takes_over_and_its_number_stays() {
    let world = ready_shop("Delete").await;
    let deployment = Id::new("apps", "deployments", "shops", "demo-order");
    let pods = |fake: &Fake| {
        let found = fake.with(|store| store.get(&deployment).cloned());
        found.expect("a deployment")["spec"]["replicas"].clone()
    };
    let wish = |replicas: serde_json::Value| {
        world.fake.with(|store| {
            store.update(&ours("storefronts", "demo"), false, |shop| {
                shop["spec"]["services"]["order"]["replicas"] = replicas;
            })
        })
    };
    wish(json!({ "min": 3 })).expect("changed");
    world.until("three pods", |fake| pods(fake) == 3).await;
    let since = world.fake.with(|store| store.version);

    wish(json!({ "min": 2, "max": 10 })).expect("changed");
    let scaler = Id::new(
        "autoscaling",
        "horizontalpodautoscalers",
        "shops",
        "demo-order",
    );
    world
        .until("the autoscaler is there", |fake| {
            fake.with(|store| store.get(&scaler).is_some())
        })
        .await;
    world.rest().await;
    let scale = |object: &mut serde_json::Value| object["spec"]["replicas"] = 7.into();
    world
        .fake
        .with(|store| store.update(&deployment, false, scale))
        .expect("scaled");
    // Another change of the workload leaves the autoscaler's number alone.
    wish(json!({ "min": 2, "max": 12, "cpuPercent": 50 })).expect("changed");
    world.look_again().await;
    assert_eq!(pods(&world.fake), 7);

    let numbers: Vec<_> = world.fake.with(|store| {
        let entries = store.history.iter();
        let of_it = entries.filter(|entry| entry.version > since && entry.id == deployment);
        of_it
            .map(|entry| entry.object["spec"]["replicas"].clone())
            .collect()
    });
    assert!(
        numbers.iter().all(|pods| *pods == 3 || *pods == 7),
        "{numbers:?}"
    );

    wish(json!({ "min": 2 })).expect("changed");
    world.until("two pods", |fake| pods(fake) == 2).await;
}

#[tokio::test(start_paused = true)]
async fn a_new_workload_begins_with_the_fewest_pods_that_it_may_have() {
    let fake = cluster_with_shop("Delete");
    let wish = |shop: &mut serde_json::Value| {
        shop["spec"]["services"]["order"]["replicas"] = json!({ "min": 2, "max": 4 });
    };
    fake.with(|store| store.update(&ours("storefronts", "demo"), false, wish))
        .expect("changed");
    let world = World::ready(fake).await;
    let deployment = Id::new("apps", "deployments", "shops", "demo-order");
    let found = world.fake.with(|store| store.get(&deployment).cloned());
    assert_eq!(found.expect("a deployment")["spec"]["replicas"], 2);
}

#[tokio::test(start_paused = true)]
async fn what_others_add_stays() {
    let world = ready_shop("Delete").await;
    let deployment = Id::new("apps", "deployments", "shops", "demo-order");
    let add = |object: &mut serde_json::Value| {
        object["metadata"]["annotations"]["somebody/else"] = "was here".into();
    };
    world
        .fake
        .with(|store| store.update(&deployment, false, add))
        .expect("changed");
    let before = world.fake.writes();
    world.look_again().await;
    let found = world
        .fake
        .with(|store| store.get(&deployment).cloned())
        .expect("there");
    assert_eq!(
        found["metadata"]["annotations"]["somebody/else"],
        "was here"
    );
    assert_eq!(world.fake.writes(), before);
}

#[tokio::test(start_paused = true)]
async fn a_paused_shop_is_left_alone() {
    let world = ready_shop("Delete").await;
    pause(&world.fake);
    world.rest().await;
    let service = Id::new("", "services", "shops", "demo-nats");
    let gateway = Id::new("apps", "deployments", "shops", "demo-gateway");
    world.fake.delete(&service);
    let scale = |object: &mut serde_json::Value| object["spec"]["replicas"] = 2.into();
    world
        .fake
        .with(|store| store.update(&gateway, false, scale))
        .expect("scaled");
    world.look_again().await;
    assert!(world.fake.with(|store| store.get(&service).is_none()));
    let pods = |fake: &Fake| fake.with(|store| store.get(&gateway).cloned());
    assert_eq!(pods(&world.fake).expect("there")["spec"]["replicas"], 2);
    let ready = world
        .fake
        .with(|store| condition(store.get(&ours("storefronts", "demo")), "Ready"));
    assert_eq!(ready, Some(("Unknown".into(), "Paused".into())));
}

#[tokio::test(start_paused = true)]
async fn a_poisoned_shop_says_so_and_does_not_stop_the_others() {
    let fake = cluster_with_shop("Delete");
    let poison = json!({ "apiVersion": "storefront.dev/v1alpha1", "kind": "Storefront", "metadata": {},
        "spec": { "hostnames": "not-a-list" } });
    fake.with(|store| store.create(&ours("storefronts", "poison"), poison))
        .expect("made");
    let world = World::start(fake);
    world
        .until("the good shop is ready", |fake| is_ready(fake, "demo"))
        .await;
    world.rest().await;
    let stalled = world
        .fake
        .with(|store| condition(store.get(&ours("storefronts", "poison")), "Stalled"));
    assert_eq!(stalled, Some(("True".into(), "Undecodable".into())));
    assert_eq!(world.fake.events_about("poison"), ["Undecodable"]);
    world.look_again().await;
    assert_eq!(world.fake.events_about("poison"), ["Undecodable"]);
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_taken_is_reported_and_not_taken_over() {
    let fake = cluster_with_shop("Delete");
    let taken = Id::new("", "services", "shops", "demo-nats");
    let made =
        json!({ "apiVersion": "v1", "kind": "Service", "metadata": {}, "spec": { "ports": [] } });
    fake.with(|store| store.create(&taken, made)).expect("made");
    let world = World::start(fake);
    world
        .until("the shop says why", |fake| {
            let ready =
                fake.with(|store| condition(store.get(&ours("storefronts", "demo")), "Ready"));
            ready.is_some_and(|(_, reason)| reason == "NameTaken")
        })
        .await;
    let stalled = world
        .fake
        .with(|store| condition(store.get(&ours("storefronts", "demo")), "Stalled"));
    assert_eq!(stalled, Some(("True".into(), "NameTaken".into())));
    let found = world
        .fake
        .with(|store| store.get(&taken).cloned())
        .expect("there");
    assert!(found["metadata"]["labels"].is_null());
}

#[tokio::test(start_paused = true)]
async fn a_deleted_shop_goes_services_first_and_leaves_nothing() {
    let world = ready_shop("Delete").await;
    let shop = ours("storefronts", "demo");
    world.fake.delete(&shop);
    world.until_gone(&shop).await;
    let gone: Vec<String> = world.fake.with(|store| {
        let deleted = store.history.iter().filter(|entry| entry.kind == "DELETED");
        deleted.map(|entry| entry.id.resource.clone()).collect()
    });
    let last_service = gone.iter().rposition(|kind| kind == "servicedeployments");
    let first_binding = gone.iter().position(|kind| kind == "databasebindings");
    let server = gone.iter().position(|kind| kind == "statefulsets");
    assert!(
        last_service < first_binding && first_binding < server,
        "{gone:?}"
    );
    let left = left(&world.fake);
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test(start_paused = true)]
async fn a_retained_shop_leaves_its_secrets_and_a_new_one_adopts_them() {
    let world = ready_shop("Retain").await;
    let (shop, secret) = (
        ours("storefronts", "demo"),
        Id::new("", "secrets", "shops", "demo-postgres-admin"),
    );
    let data =
        |fake: &Fake| fake.with(|store| store.get(&secret).map(|found| found["data"].clone()));
    let before = data(&world.fake);
    assert!(before.is_some());
    world.fake.delete(&shop);
    world.until_gone(&shop).await;
    assert_eq!(data(&world.fake), before);
    assert!(names(&world.fake, "apps", "deployments").is_empty());
    add_shop(&world.fake, "demo", "Retain");
    world
        .until("the new shop is ready", |fake| is_ready(fake, "demo"))
        .await;
    assert_eq!(data(&world.fake), before);
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_was_changed_to_retain_frees_the_secrets_from_their_owner() {
    let world = ready_shop("Delete").await;
    let shop = ours("storefronts", "demo");
    let retain =
        |object: &mut serde_json::Value| object["spec"]["deletionPolicy"] = "Retain".into();
    world
        .fake
        .with(|store| store.update(&shop, false, retain))
        .expect("changed");
    // Deleted before the change could be looked at in peace.
    world.fake.delete(&shop);
    world.until_gone(&shop).await;
    let secret = Id::new("", "secrets", "shops", "demo-signing-keys");
    assert!(world.fake.with(|store| store.get(&secret).is_some()));
}

#[tokio::test(start_paused = true)]
async fn a_shop_whose_parts_went_first_still_ends() {
    let world = ready_shop("Retain").await;
    let shop = ours("storefronts", "demo");
    world.fake.delete(&shop);
    let fake = world.kill().await;
    let parts: Vec<Id> = fake.with(|store| {
        let ids = store
            .all()
            .keys()
            .filter(|id| id.namespace == "shops" && **id != shop);
        ids.cloned().collect()
    });
    for part in parts {
        drop(fake.with(|store| store.delete(&part, &json!({}))));
    }
    let world = World::start(fake);
    world.until_gone(&shop).await;
    let left = left(&world.fake);
    assert!(left.is_empty(), "brought back to life: {left:?}");
}

#[tokio::test(start_paused = true)]
async fn the_end_of_one_shop_is_no_business_of_another() {
    let fake = cluster_with_shop("Delete");
    add_shop(&fake, "other", "Delete");
    let world = World::start(fake);
    world
        .until("both are ready", |fake| {
            is_ready(fake, "demo") && is_ready(fake, "other")
        })
        .await;
    world.rest().await;
    let shop = ours("storefronts", "demo");
    world.fake.delete(&shop);
    world.until_gone(&shop).await;
    let gone = world.fake.with(|store| {
        let deleted = store.history.iter().filter(|entry| entry.kind == "DELETED");
        deleted
            .map(|entry| entry.id.name.clone())
            .collect::<Vec<_>>()
    });
    assert!(gone.iter().all(|name| name.contains("demo")), "{gone:?}");
    assert!(is_ready(&world.fake, "other"));
}

#[tokio::test(start_paused = true)]
async fn two_shops_with_one_hostname_say_so_while_that_is_so_and_are_ready() {
    let world = ready_shop("Delete").await;
    let text = |fake: &Fake, name: &str| {
        let shop = fake.with(|store| store.get(&ours("storefronts", name)).cloned());
        let list = shop.unwrap_or_default()["status"]["conditions"].clone();
        let mut list = list.as_array().cloned().unwrap_or_default().into_iter();
        let found = list.find(|it| it["type"] == "HostnameShared");
        found.map(|it| it["message"].to_string())
    };
    let told = |fake: &Fake, name: &str| text(fake, name).is_some();
    assert!(!told(&world.fake, "demo"));
    add_shop(&world.fake, "second", "Delete");
    let second = ours("storefronts", "second");
    let hosts = |hosts: Value| {
        let changed = |shop: &mut Value| shop["spec"]["hostnames"] = hosts;
        let updated = world
            .fake
            .with(|store| store.update(&second, false, changed));
        updated.expect("changed");
    };
    hosts(json!(["second.example", "demo.example"]));
    for (one, other) in [("demo", "shops/second"), ("second", "shops/demo")] {
        world.until("it is told", |fake| told(fake, one)).await;
        let text = text(&world.fake, one).unwrap_or_default();
        assert!(
            text.contains(&format!(
                "demo.example is also a hostname of Storefront {other}"
            )),
            "{text}"
        );
    }
    world
        .until("both are ready all the same", |fake| {
            is_ready(fake, "demo") && is_ready(fake, "second")
        })
        .await;
    hosts(json!(["second.example"]));
    world
        .until("nothing is said any more", |fake| {
            !told(fake, "demo") && !told(fake, "second")
        })
        .await;
}

//! Room to run: autoscalers of others, volumes that grow, and quotas that leave no room for a pod.

use serde_json::{Value, json};

use crate::fake::{Fake, Fault, Id};
use crate::world::{World, condition, is_ready, ours, ready_shop};

fn deployment(name: &str) -> Id {
    Id::new("apps", "deployments", "shops", name)
}

fn set(name: &str) -> Id {
    Id::new("apps", "statefulsets", "shops", name)
}

fn claim(number: u8) -> Id {
    let name = format!("data-demo-nats-{number}");
    Id::new("", "persistentvolumeclaims", "shops", &name)
}

fn autoscaler() -> Id {
    Id::new("autoscaling", "horizontalpodautoscalers", "shops", "mine")
}

fn pods(fake: &Fake, id: &Id) -> Option<i64> {
    fake.with(|store| store.get(id).and_then(|it| it["spec"]["replicas"].as_i64()))
}

fn scale(world: &World, id: &Id, pods: i64) {
    world
        .fake
        .with(|store| store.update(id, false, |it| it["spec"]["replicas"] = pods.into()))
        .expect("scaled");
}

#[tokio::test(start_paused = true)]
async fn an_autoscaler_of_the_user_is_respected_until_it_goes() {
    for name in ["demo-order", "demo-gateway"] {
        let world = ready_shop("Delete").await;
        let workload = deployment(name);
        let made = json!({ "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
            "metadata": {}, "spec": { "minReplicas": 2, "maxReplicas": 5, "scaleTargetRef": {
                "apiVersion": "apps/v1", "kind": "Deployment", "name": name } } });
        world
            .fake
            .with(|store| store.create(&autoscaler(), made))
            .expect("an autoscaler");
        world.rest().await;
        scale(&world, &workload, 2);
        world.rest().await;
        let writes = |fake: &Fake| {
            let all = fake.requests().into_iter();
            all.filter(|it| it.is_write() && it.id == workload).count()
        };
        let before = writes(&world.fake);
        scale(&world, &workload, 4);
        world.rest().await;
        world.look_again().await;
        assert_eq!(pods(&world.fake, &workload), Some(4), "{name}");
        assert_eq!(writes(&world.fake), before, "{name}: nobody fights it");
        assert!(is_ready(&world.fake, "demo"));

        world
            .fake
            .with(|store| store.delete(&autoscaler(), &json!({})))
            .expect("deleted");
        world
            .until("the spec decides again", |fake| {
                pods(fake, &workload) == Some(1)
            })
            .await;
    }
}

fn service() -> Id {
    ours("servicedeployments", "demo-order")
}

fn spec_of_service(fake: &Fake) -> Value {
    let found = fake.with(|store| store.get(&service()).cloned());
    found.expect("a ServiceDeployment")["spec"].clone()
}

/// Writes what its scale subresource writes.
fn scale_service(world: &World, pods: i64) {
    let edit = |it: &mut Value| it["spec"]["replicas"]["min"] = pods.into();
    world
        .fake
        .with(|store| store.update(&service(), false, edit))
        .expect("scaled");
}

#[tokio::test(start_paused = true)]
async fn an_autoscaler_of_a_service_of_the_shop_is_respected_until_it_goes() {
    let world = ready_shop("Delete").await;
    let workload = deployment("demo-order");
    let made = json!({ "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {}, "spec": { "minReplicas": 2, "maxReplicas": 5, "scaleTargetRef": {
            "apiVersion": "storefront.dev/v1alpha1", "kind": "ServiceDeployment",
            "name": "demo-order" } } });
    world
        .fake
        .with(|store| store.create(&autoscaler(), made))
        .expect("an autoscaler");
    world.rest().await;
    let first = pods(&world.fake, &workload);
    assert_eq!(first, Some(1), "until it writes a number");
    for number in [2, 4] {
        scale_service(&world, number);
        let is_followed = |fake: &Fake| pods(fake, &workload) == Some(number);
        world.until("the workload follows", is_followed).await;
        world.rest().await;
        let before = world.fake.writes();
        world.look_again().await;
        assert_eq!(world.fake.writes(), before, "nobody fights it");
        assert!(is_followed(&world.fake) && is_ready(&world.fake, "demo"));
    }
    // What else is in the spec is the Storefront's.
    let edit = |it: &mut Value| it["spec"]["image"] = "evil.test/a:1".into();
    world
        .fake
        .with(|store| store.update(&service(), false, edit))
        .expect("changed");
    world.rest().await;
    let spec = spec_of_service(&world.fake);
    assert_eq!(spec["image"], "registry.test/order:1.0.0");
    assert_eq!(spec["replicas"]["min"], 4);

    let gone = world
        .fake
        .with(|store| store.delete(&autoscaler(), &json!({})));
    gone.expect("deleted");
    world
        .until("the Storefront decides again", |fake| {
            pods(fake, &workload) == Some(1)
        })
        .await;
    assert_eq!(spec_of_service(&world.fake)["replicas"]["min"], 1);
}

#[tokio::test(start_paused = true)]
async fn who_scales_by_hand_is_still_put_right() {
    let world = ready_shop("Delete").await;
    let workload = deployment("demo-order");
    scale(&world, &workload, 3);
    world
        .until("it is one again", |fake| pods(fake, &workload) == Some(1))
        .await;
    scale_service(&world, 3);
    world
        .until("it is what the Storefront asks for", |fake| {
            spec_of_service(fake)["replicas"]["min"] == 1
        })
        .await;
    world.rest().await;
    assert_eq!(pods(&world.fake, &workload), Some(1));
}

fn size(object: Option<&Value>) -> Value {
    object.map_or(Value::Null, |it| {
        it["spec"]["resources"]["requests"]["storage"].clone()
    })
}

fn size_of_claim(fake: &Fake) -> Value {
    fake.with(|store| size(store.get(&claim(0))))
}

fn size_of_set(fake: &Fake) -> Value {
    fake.with(|store| {
        let set = store.get(&set("demo-nats"));
        set.map_or(Value::Null, |it| {
            size(it["spec"]["volumeClaimTemplates"].get(0))
        })
    })
}

async fn shop_with_claims() -> World {
    let world = ready_shop("Delete").await;
    let labels = json!({
        "app.kubernetes.io/name": "nats", "app.kubernetes.io/instance": "demo-nats" });
    let made = json!({ "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": { "labels": labels },
        "spec": { "resources": { "requests": { "storage": "2Gi" } } } });
    world
        .fake
        .with(|store| store.create(&claim(0), made))
        .expect("a claim");
    world
}

fn ask_for(world: &World, size: &str) {
    let queue = json!({ "nats": { "replicas": 1, "storage": size } });
    world
        .fake
        .with(|store| {
            store.update(&ours("storefronts", "demo"), false, |shop| {
                shop["spec"]["queue"] = queue;
            })
        })
        .expect("changed");
}

#[tokio::test(start_paused = true)]
async fn a_volume_grows_with_the_spec_and_its_set_is_made_anew() {
    let world = shop_with_claims().await;
    ask_for(&world, "4Gi");
    world
        .until("set and claim have the size", |fake| {
            size_of_set(fake) == "4Gi" && size_of_claim(fake) == "4Gi"
        })
        .await;
    world.rest().await;
    assert!(is_ready(&world.fake, "demo"));
    let shop = world
        .fake
        .with(|store| store.get(&ours("storefronts", "demo")).cloned());
    assert_eq!(shop.expect("the shop")["status"]["volumes"]["queue"], "4Gi");
    let before = world.fake.writes();
    world.look_again().await;
    assert_eq!(world.fake.writes(), before, "once");
}

#[tokio::test(start_paused = true)]
async fn a_volume_that_may_not_grow_leaves_its_set_alone_and_the_shop_says_so() {
    let world = shop_with_claims().await;
    let uid = |fake: &Fake| {
        fake.with(|store| {
            store
                .get(&set("demo-nats"))
                .map(|it| it["metadata"]["uid"].clone())
        })
    };
    let before = uid(&world.fake);
    world.fake.break_by(|request| {
        let is_claim = request.id.resource == "persistentvolumeclaims";
        (is_claim && request.is_write()).then_some(Fault::Refused(403))
    });
    ask_for(&world, "4Gi");
    world
        .until("the shop is stalled", |fake| {
            let stalled =
                fake.with(|store| condition(store.get(&ours("storefronts", "demo")), "Stalled"));
            stalled.is_some_and(|(status, _)| status == "True")
        })
        .await;
    assert_eq!(size_of_set(&world.fake), "2Gi");
    assert_eq!(uid(&world.fake), before);

    // Taken back.
    ask_for(&world, "2Gi");
    world
        .until("the shop is ready", |fake| is_ready(fake, "demo"))
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_quota_that_leaves_no_room_for_a_server_is_a_condition() {
    let world = ready_shop("Delete").await;
    let event = Id::new("events.k8s.io", "events", "shops", "demo-nats.1");
    let note = "create Pod demo-nats-0 in StatefulSet demo-nats failed error: pods \"demo-nats-0\" is forbidden: failed quota: small: must specify limits.cpu for: nats";
    let made = json!({ "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {},
        "regarding": { "kind": "StatefulSet", "name": "demo-nats", "namespace": "shops" },
        "reason": "FailedCreate", "note": note, "type": "Warning" });
    world
        .fake
        .with(|store| {
            store.create(&event, made)?;
            store.set_podless(&set("demo-nats"), true);
            Ok::<_, crate::fake::Refusal>(())
        })
        .expect("changed");
    let message = |fake: &Fake| {
        fake.with(|store| {
            let shop = store.get(&ours("storefronts", "demo")).cloned();
            shop.expect("the shop")["status"]["blockedBy"]["message"].to_string()
        })
    };
    world
        .until("the shop says why", |fake| {
            message(fake).contains("failed quota: small: must specify limits.cpu for: nats")
        })
        .await;
    let stalled = world
        .fake
        .with(|store| condition(store.get(&ours("storefronts", "demo")), "Stalled"));
    assert!(stalled.is_some_and(|(status, _)| status == "True"));

    world
        .fake
        .with(|store| store.set_podless(&set("demo-nats"), false));
    world
        .until("the shop is ready", |fake| is_ready(fake, "demo"))
        .await;
}

//! What others change or add is put right, whole, and one object that is refused stops no other.

use serde_json::{Value, json};

use crate::fake::{Fake, Fault, Id};
use crate::world::{World, condition, is_ready, ours, ready_shop};

const ORDER: &str = "demo-order";

fn order(group: &str, resource: &str) -> Id {
    Id::new(group, resource, "shops", ORDER)
}

fn spec(fake: &Fake, id: &Id) -> Value {
    fake.with(|store| store.get(id).map(|object| object["spec"].clone()))
        .unwrap_or_default()
}

/// Changes the spec of an object as somebody else would, and waits until it is as it was: within two
/// seconds, with one write.
async fn put_right(world: &World, id: &Id, change: fn(&mut Value)) {
    let writes = |fake: &Fake| {
        let all = fake.requests().into_iter();
        all.filter(|request| request.is_write() && request.id == *id)
            .count()
    };
    let before = writes(&world.fake);
    put_right_soon(world, id, change).await;
    world.rest().await;
    let more = writes(&world.fake) - before;
    assert!(more <= 1, "{more} writes for {id:?}");
}

/// The same of an object whose status is written too.
async fn put_right_soon(world: &World, id: &Id, change: fn(&mut Value)) {
    let right = spec(&world.fake, id);
    world
        .fake
        .with(|store| store.update(id, false, |object| change(&mut object["spec"])))
        .expect("changed");
    assert_ne!(spec(&world.fake, id), right, "{id:?} did not change");
    let began = tokio::time::Instant::now();
    world
        .until("it is put right", |fake| spec(fake, id) == right)
        .await;
    assert!(began.elapsed().as_secs() < 2, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_is_added_to_a_selector_is_taken_away() {
    let world = ready_shop("Delete").await;
    put_right(&world, &order("", "services"), |spec| {
        spec["selector"]["x"] = "y".into();
    })
    .await;
    put_right(
        &world,
        &order("networking.k8s.io", "networkpolicies"),
        |spec| spec["podSelector"]["matchLabels"]["x"] = "y".into(),
    )
    .await;
    put_right(&world, &order("policy", "poddisruptionbudgets"), |spec| {
        spec["selector"]["matchLabels"]["x"] = "y".into();
    })
    .await;
    let deny = Id::new(
        "networking.k8s.io",
        "networkpolicies",
        "shops",
        "demo-default-deny",
    );
    put_right(&world, &deny, |spec| {
        spec["podSelector"]["matchLabels"]["x"] = "y".into();
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn foreign_containers_and_settings_of_pods_are_taken_away() {
    let world = ready_shop("Delete").await;
    let deployment = order("apps", "deployments");
    put_right(&world, &deployment, |spec| {
        spec["template"]["spec"]["hostNetwork"] = true.into();
    })
    .await;
    put_right(&world, &deployment, |spec| {
        spec["template"]["spec"]["nodeSelector"] = json!({ "disk": "none" });
    })
    .await;
    put_right(&world, &deployment, |spec| {
        let containers = spec["template"]["spec"]["containers"].as_array_mut();
        let spy = json!({ "name": "spy", "image": "evil:1" });
        containers.expect("containers").push(spy);
    })
    .await;
    put_right(&world, &deployment, |spec| {
        let env = spec["template"]["spec"]["containers"][0]["env"].as_array_mut();
        let more = json!({ "name": "LD_PRELOAD", "value": "/tmp/x" });
        env.expect("env").push(more);
    })
    .await;
    put_right(&world, &deployment, |spec| spec["paused"] = true.into()).await;
}

#[tokio::test(start_paused = true)]
async fn a_service_that_was_exposed_or_moved_is_put_back() {
    let world = ready_shop("Delete").await;
    let service = order("", "services");
    put_right(&world, &service, |spec| spec["type"] = "NodePort".into()).await;
    put_right(&world, &service, |spec| {
        spec["externalIPs"] = json!(["192.0.2.1"]);
    })
    .await;
    put_right(&world, &service, |spec| {
        spec["ports"][0]["port"] = 81.into();
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_changed_back_is_made_anew() {
    let world = ready_shop("Delete").await;
    let deployment = order("apps", "deployments");
    let right = spec(&world.fake, &deployment)["selector"].clone();
    let uid = |fake: &Fake| {
        let found = fake.with(|store| store.get(&deployment).cloned());
        found.unwrap_or_default()["metadata"]["uid"].clone()
    };
    let mut other = world
        .fake
        .with(|store| store.get(&deployment).cloned())
        .expect("there");
    other["spec"]["selector"]["matchLabels"]["x"] = "y".into();
    world.fake.with(|store| {
        store.delete(&deployment, &json!({})).expect("deleted");
        store.create(&deployment, other).expect("made");
    });
    let made = uid(&world.fake);
    world
        .until("it has the planned selector", |fake| {
            spec(fake, &deployment)["selector"] == right
        })
        .await;
    assert_ne!(uid(&world.fake), made);
    world.rest().await;
    assert!(is_ready(&world.fake, "demo"));
}

#[tokio::test(start_paused = true)]
async fn an_object_that_is_refused_stops_no_other_and_stalls_its_owner() {
    let world = ready_shop("Delete").await;
    let deployment = order("apps", "deployments");
    let budget = order("policy", "poddisruptionbudgets");
    world.fake.break_by(|request| {
        let is_it = request.id.resource == "deployments" && request.id.name == ORDER;
        (is_it && request.is_write()).then_some(Fault::Refused(422))
    });
    world.fake.with(|store| {
        let evil = |object: &mut Value| {
            object["spec"]["template"]["spec"]["containers"][0]["image"] = "evil:1".into();
        };
        store.update(&deployment, false, evil).expect("changed");
        store.delete(&budget, &json!({})).expect("deleted");
    });
    let began = tokio::time::Instant::now();
    let service = ours("servicedeployments", ORDER);
    world
        .until("the budget is back and the refusal is told", |fake| {
            let told = fake.with(|store| condition(store.get(&service), "Stalled"));
            let is_back = fake.with(|store| store.get(&budget).is_some());
            is_back && told == Some(("True".to_owned(), "ApplyRefused".to_owned()))
        })
        .await;
    assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
    world.fake.break_by(|_| None);
    world
        .until("it is put right by itself", |fake| {
            is_ready(fake, "demo")
                && fake
                    .with(|store| condition(store.get(&service), "Stalled"))
                    .is_none()
        })
        .await;
    assert!(began.elapsed().as_secs() < 60, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_is_written_into_the_shops_own_services_and_bindings_is_taken_away() {
    let world = ready_shop("Delete").await;
    put_right(&world, &ours("databasebindings", ORDER), |spec| {
        spec["rotation"] = json!({ "every": "10m", "overlap": "10s" });
        spec["extensions"] = json!(["citext"]);
        spec["backup"] = json!({ "storage": "1Ti" });
        spec["grants"] = json!([{ "binding": "mine", "access": "ReadWrite" }]);
    })
    .await;
    let service = ours("servicedeployments", ORDER);
    put_right_soon(&world, &service, |spec| {
        spec["image"] = "evil:1".into();
        spec["paused"] = true.into();
        spec["routes"][0]["auth"] = "Public".into();
    })
    .await;
    put_right_soon(&world, &service, |spec| {
        spec["probes"] = json!({ "readinessPath": "/no" });
        spec["imagePullPolicy"] = "Never".into();
        spec["pods"] = json!({ "priorityClassName": "mine" });
        spec["migrate"]["deadline"] = "1m".into();
        spec["egressPorts"] = json!([25]);
    })
    .await;
    world
        .until("the shop is ready", |fake| is_ready(fake, "demo"))
        .await;
    world.rest().await;
    let before = world.fake.writes();
    world.look_again().await;
    assert_eq!(world.fake.writes(), before);
}

#[tokio::test(start_paused = true)]
async fn a_rotation_of_the_shops_databases_is_the_storefronts_to_ask_for() {
    let world = ready_shop("Delete").await;
    let rotation = json!({ "every": "720h", "overlap": "2h" });
    let shop = ours("storefronts", "demo");
    let ask = |rotation: &Value| {
        let change = |shop: &mut Value| {
            shop["spec"]["database"] = json!({ "embedded": {}, "rotation": rotation });
        };
        let changed = world.fake.with(|store| store.update(&shop, false, change));
        changed.expect("changed");
    };
    let of = |fake: &Fake| spec(fake, &ours("databasebindings", ORDER))["rotation"].clone();
    ask(&rotation);
    world
        .until("it is passed on", |fake| of(fake) == rotation)
        .await;
    ask(&Value::Null);
    world
        .until("it is taken back", |fake| of(fake).is_null())
        .await;
}

/// The API server refuses the tokens of an account that was deleted, whatever is made again under its name.
#[tokio::test(start_paused = true)]
async fn the_pods_of_a_gateway_are_replaced_once_their_account_was() {
    let world = ready_shop("Delete").await;
    let workload = Id::new("apps", "deployments", "shops", "demo-gateway");
    let since = |fake: &Fake| {
        let template = spec(fake, &workload)["template"].clone();
        template["metadata"]["annotations"]["storefront.dev/service-account-since"].clone()
    };
    assert!(since(&world.fake).is_null());
    let account = Id::new("", "serviceaccounts", "shops", "demo-gateway");
    world.fake.with(|store| store.day = 1);
    world.fake.delete(&account);
    world
        .until("its pods are new", |fake| {
            since(fake) == "2026-01-02T00:00:00Z"
        })
        .await;
    world.rest().await;
    let before = world.fake.writes();
    world.look_again().await;
    assert_eq!(world.fake.writes(), before, "they are replaced once");
}

#[tokio::test(start_paused = true)]
async fn what_somebody_adds_to_a_route_of_the_shop_is_taken_away() {
    let world = ready_shop("Delete").await;
    let api = "gateway.networking.k8s.io";
    let route = Id::new(api, "httproutes", "shops", "demo-order-required");
    put_right_soon(&world, &route, |spec| {
        spec["rules"][0]["timeouts"] = json!({ "request": "1ms" });
    })
    .await;
    let gateway = Id::new(api, "gateways", "shops", "demo");
    put_right_soon(&world, &gateway, |spec| {
        spec["tls"] = json!({ "frontend": { "default": { "validation": {} } } });
    })
    .await;
}

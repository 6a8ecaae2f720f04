//! Conditions say what workloads themselves report, and nothing from the time before.

use std::time::Duration;

use chassis::{NO_ANSWER_YET, READINESS_LIMIT};
use serde_json::{Value, json};

use crate::fake::{Fake, Id};
use crate::world::{World, cluster_with_shop, condition, is_ready, ours, ready_shop};

fn message(fake: &Fake, id: &Id, wanted: &str) -> String {
    let object = fake
        .with(|store| store.get(id).cloned())
        .unwrap_or_default();
    let conditions = object["status"]["conditions"].as_array().cloned();
    let mut all = conditions.into_iter().flatten();
    let found = all.find(|condition| condition["type"] == wanted);
    let text = found.map(|condition| condition["message"].clone());
    let text = text.as_ref().and_then(Value::as_str);
    text.unwrap_or_default().to_owned()
}

/// A pod of a service that runs and is not ready, with this address.
fn add_unready_pod(fake: &Fake, service: &str, address: &str) {
    add_pod(fake, service, address, false);
}

fn add_pod(fake: &Fake, service: &str, address: &str, is_ready: bool) {
    let id = Id::new("", "pods", "shops", &format!("{service}-5d9c-zzzzz"));
    let pod = json!({ "apiVersion": "v1", "kind": "Pod",
        "metadata": { "labels": { "app.kubernetes.io/managed-by": "storefront-operator" },
            "ownerReferences": [{ "apiVersion": "apps/v1", "kind": "ReplicaSet",
                "name": format!("{service}-5d9c"), "uid": "u", "controller": true }] },
        "spec": { "containers": [{ "name": "order", "image": "order:1" }] },
        "status": { "phase": "Running", "podIP": address, "containerStatuses": [{
            "name": "order", "ready": is_ready, "started": true, "restartCount": 0, "image": "",
            "imageID": "", "state": { "running": { "startedAt": "2026-01-01T00:00:00Z" } } }] } });
    fake.with(|store| store.create(&id, pod)).expect("made");
}

#[tokio::test(start_paused = true)]
async fn a_failing_probe_is_named_with_its_answer() {
    let world = ready_shop("Delete").await;
    world.answers.set("10.1.1.1", 404, &[], &[]);
    let web = Id::new("apps", "deployments", "shops", "demo-web");
    world.fake.with(|store| store.set_sick(&web, true));
    add_unready_pod(&world.fake, "demo-web", "10.1.1.1");
    let service = ours("servicedeployments", "demo-web");
    world
        .until("the answer is told", |fake| {
            message(fake, &service, "Ready").contains(
                "Pod demo-web-5d9c-zzzzz is not ready: its readiness probe, GET /readyz on port 9090, is answered 404",
            )
        })
        .await;
    let reason = world
        .fake
        .with(|store| condition(store.get(&service), "Ready"));
    assert_eq!(reason, Some(("False".into(), "ProbeFailing".into())));
}

/// The only pod of a service cannot use the database any more; its Deployment.
fn order_lacks_its_database(world: &World, why: &str) -> Id {
    world
        .answers
        .set("10.1.1.1", 503, &[("database", why)], &[]);
    let order = Id::new("apps", "deployments", "shops", "demo-order");
    world.fake.with(|store| store.set_sick(&order, true));
    add_unready_pod(&world.fake, "demo-order", "10.1.1.1");
    order
}

#[tokio::test(start_paused = true)]
async fn a_database_that_goes_away_is_named_within_ten_seconds() {
    let world = ready_shop("Delete").await;
    let why = "the database does not answer: connection refused";
    order_lacks_its_database(&world, why);
    let began = tokio::time::Instant::now();
    let shop = ours("storefronts", "demo");
    let text = format!("ServiceDeployment demo-order cannot use it: {why}");
    world
        .until("the database is named", |fake| {
            message(fake, &shop, "Ready").contains(&text)
        })
        .await;
    assert!(began.elapsed().as_secs() < 10, "{:?}", began.elapsed());
    let told = |type_: &str| world.fake.with(|store| condition(store.get(&shop), type_));
    let no = Some(("False".to_owned(), "DatabaseNotReady".to_owned()));
    assert_eq!((told("DatabaseReady"), told("Ready")), (no.clone(), no));
}

/// A ready shop whose database is its owner's.
async fn shop_with_external_database() -> World {
    let fake = cluster_with_shop("Delete");
    let secret = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": {},
        "data": { "host": "cmRz", "username": "cm9vdA==", "password": "c2VjcmV0" } });
    let external = json!({ "external": { "adminSecretRef": { "name": "rds" } } });
    let choose = |shop: &mut Value| shop["spec"]["database"] = external;
    fake.with(|store| store.create(&Id::new("", "secrets", "shops", "rds"), secret))
        .expect("made");
    fake.with(|store| store.update(&ours("storefronts", "demo"), false, choose))
        .expect("changed");
    World::ready(fake).await
}

#[tokio::test(start_paused = true)]
async fn an_external_database_that_goes_away_is_named_within_ten_seconds_and_so_is_its_return() {
    let world = shop_with_external_database().await;
    let shop = ours("storefronts", "demo");
    let told = |fake: &Fake| fake.with(|store| condition(store.get(&shop), "DatabaseReady"));
    assert_eq!(told(&world.fake), Some(("True".into(), "External".into())));
    let why = "the database cannot be used: Connection refused (os error 111)";
    let order = order_lacks_its_database(&world, why);
    let began = tokio::time::Instant::now();
    world
        .until("the database is named", |fake| {
            let is_named = |type_| message(fake, &shop, type_).contains(why);
            is_named("DatabaseReady") && is_named("Ready")
        })
        .await;
    assert!(began.elapsed().as_secs() < 10, "{:?}", began.elapsed());
    let text = message(&world.fake, &shop, "DatabaseReady");
    assert!(text.starts_with("Secret rds is not ready since"), "{text}");

    world.answers.set("demo-order.shops.svc", 200, &[], &[]);
    let pod = Id::new("", "pods", "shops", "demo-order-5d9c-zzzzz");
    let recover = |pod: &mut Value| pod["status"]["containerStatuses"][0]["ready"] = true.into();
    world
        .fake
        .with(|store| store.update(&pod, true, recover))
        .expect("changed");
    world.fake.with(|store| store.set_sick(&order, false));
    let began = tokio::time::Instant::now();
    world
        .until("it is back", |fake| {
            told(fake).is_some_and(|(status, _)| status == "True") && is_ready(fake, "demo")
        })
        .await;
    assert!(began.elapsed().as_secs() < 10, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn mail_that_does_not_go_out_and_a_bus_that_refuses_are_conditions() {
    let world = ready_shop("Delete").await;
    let shop = ours("storefronts", "demo");
    let told = |world: &World, type_: &str| {
        let found = world.fake.with(|store| condition(store.get(&shop), type_));
        found.unwrap_or_default()
    };
    assert_eq!(told(&world, "MailReady").0, "True");
    let host = "demo-notification.shops.svc";
    let mail = (
        "mail",
        "the mail server did not accept the message: no such host",
    );
    world
        .answers
        .set(host, 200, &[], &[mail, ("bus", "NATS takes no connection")]);
    let began = tokio::time::Instant::now();
    world
        .until("both are told", |fake| {
            let told = |type_| fake.with(|store| condition(store.get(&shop), type_));
            let is = |type_, reason: &str| told(type_).is_some_and(|(_, it)| it == reason);
            is("MailReady", "MailNotReady") && is("QueueReady", "QueueNotReady")
        })
        .await;
    // Nothing happened in the cluster, so it is the routine question that finds out.
    assert!(began.elapsed().as_secs() <= 330, "{:?}", began.elapsed());
    assert!(!is_ready(&world.fake, "demo"));
    assert!(message(&world.fake, &shop, "MailReady").contains("no such host"));
    world.answers.set(host, 200, &[], &[]);
    let began = tokio::time::Instant::now();
    world
        .until("the shop is ready", |fake| is_ready(fake, "demo"))
        .await;
    assert!(began.elapsed().as_secs() < 10, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_a_ready_pod_does_without_is_named_as_soon_as_its_kubelet_warns() {
    let world = ready_shop("Delete").await;
    add_pod(&world.fake, "demo-product", "10.1.1.1", true);
    world.rest().await;
    let why = ("cache", "Redis does not keep what is written");
    let host = "demo-product.shops.svc";
    world.answers.set(host, 200, &[], &[why]);
    let event = json!({ "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {},
        "reason": "ProbeWarning", "type": "Warning", "regarding": {
            "kind": "Pod", "namespace": "shops", "name": "demo-product-5d9c-zzzzz" } });
    let id = Id::new("events.k8s.io", "events", "shops", "demo-product.1");
    let began = tokio::time::Instant::now();
    world
        .fake
        .with(|store| store.create(&id, event))
        .expect("recorded");
    let shop = ours("storefronts", "demo");
    world
        .until("the cache is named", |fake| {
            message(fake, &shop, "CacheReady").contains(why.1)
        })
        .await;
    assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_shop_is_ready_for_a_generation_only_when_its_services_have_taken_it_over() {
    let world = ready_shop("Delete").await;
    let shop = ours("storefronts", "demo");
    let since = world.fake.with(|store| store.version);
    world
        .fake
        .with(|store| {
            store.update(&shop, false, |shop| {
                shop["spec"]["currencies"] = json!(["USD"]);
            })
        })
        .expect("changed");
    let generation = world
        .fake
        .with(|store| {
            store
                .get(&shop)
                .map(|shop| shop["metadata"]["generation"].clone())
        })
        .expect("there");
    world
        .until("the new generation is ready", |fake| {
            let shop = fake
                .with(|store| store.get(&shop).cloned())
                .unwrap_or_default();
            let conditions = shop["status"]["conditions"].as_array().cloned();
            conditions.into_iter().flatten().any(|c| {
                c["type"] == "Ready"
                    && c["status"] == "True"
                    && c["observedGeneration"] == generation
            })
        })
        .await;
    // Every workload had its new settings before the shop was first ready for that generation.
    let order: Vec<String> = world.fake.with(|store| {
        let entries = store.history.iter().filter(|entry| entry.version > since);
        let told = entries.filter_map(|entry| {
            let text = entry.object.to_string();
            let is_ready = || {
                let all = entry.object["status"]["conditions"].as_array();
                all.is_some_and(|all| {
                    all.iter().any(|c| {
                        c["type"] == "Ready"
                            && c["status"] == "True"
                            && c["observedGeneration"] == generation
                    })
                })
            };
            match entry.id.resource.as_str() {
                "deployments" if text.contains("\"USD\"") => Some(entry.id.name.clone()),
                "storefronts" if is_ready() => Some("ready".to_owned()),
                _ => None,
            }
        });
        told.collect()
    });
    let ready = order.iter().position(|it| it == "ready").expect("ready");
    for service in [
        "auth",
        "user",
        "product",
        "order",
        "payment",
        "notification",
        "web",
    ] {
        let name = format!("demo-{service}");
        let made = order.iter().position(|it| *it == name);
        assert!(made.is_some_and(|made| made < ready), "{name}: {order:?}");
    }
}

/// A pod of a service that is on a node and has no containers yet, and what its kubelet says.
fn add_creating_pod(fake: &Fake, owner: (&str, &str), name: &str, (reason, note): (&str, &str)) {
    let (kind, of) = owner;
    let pod = json!({ "apiVersion": "v1", "kind": "Pod",
        "metadata": { "labels": { "app.kubernetes.io/managed-by": "storefront-operator" },
            "ownerReferences": [{ "apiVersion": "apps/v1", "kind": kind, "name": of, "uid": "u",
                "controller": true }] },
        "spec": { "containers": [{ "name": "main", "image": "main:1" }] },
        "status": { "phase": "Pending", "startTime": "2026-01-01T00:00:00Z", "containerStatuses": [{
            "name": "main", "ready": false, "started": false, "restartCount": 0, "image": "",
            "imageID": "", "state": { "waiting": { "reason": "ContainerCreating" } } }] } });
    let event = json!({ "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {},
        "reason": reason, "note": note, "type": "Warning", "deprecatedLastTimestamp": "2026-01-01T00:00:09Z",
        "regarding": { "kind": "Pod", "namespace": "shops", "name": name } });
    fake.with(|store| {
        let told = Id::new("events.k8s.io", "events", "shops", &format!("{name}.1"));
        store.create(&told, event).expect("recorded");
        store
            .create(&Id::new("", "pods", "shops", name), pod)
            .expect("made");
    });
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_has_no_sandbox_or_no_volume_is_named_with_its_event_which_is_read_once() {
    let world = ready_shop("Delete").await;
    let lists = |world: &World| {
        let listed = world.fake.listed().into_iter();
        listed.filter(|(resource, _)| resource == "events").count()
    };
    let before = lists(&world);
    let order = Id::new("apps", "deployments", "shops", "demo-order");
    let queue = Id::new("apps", "statefulsets", "shops", "demo-nats");
    let sandbox =
        "Failed to create pod sandbox: rpc error: code = Unknown desc = no address is left";
    let mount =
        "MountVolume.SetUp failed for volume \"bus\" : secret \"demo-nats-config\" not found";
    world.fake.with(|store| {
        store.set_sick(&order, true);
        store.set_sick(&queue, true);
    });
    let of_order = ("ReplicaSet", "demo-order-5d9c");
    let told = ("FailedCreatePodSandBox", sandbox);
    add_creating_pod(&world.fake, of_order, "demo-order-5d9c-aaaaa", told);
    let of_queue = ("StatefulSet", "demo-nats");
    add_creating_pod(&world.fake, of_queue, "demo-nats-0", ("FailedMount", mount));
    let (service, shop) = (
        ours("servicedeployments", "demo-order"),
        ours("storefronts", "demo"),
    );
    let began = tokio::time::Instant::now();
    let is_told = |fake: &Fake| {
        message(fake, &service, "Ready")
            .ends_with("Pod demo-order-5d9c-aaaaa: its sandbox cannot be made: no address is left")
            && message(fake, &shop, "QueueReady").ends_with(&format!(
                "Pod demo-nats-0: a volume cannot be mounted: {mount}"
            ))
    };
    world.until("both are told", is_told).await;
    assert!(began.elapsed().as_secs() < 10, "{:?}", began.elapsed());
    let reason = world
        .fake
        .with(|store| condition(store.get(&service), "Ready"));
    assert_eq!(
        reason,
        Some(("False".into(), "FailedCreatePodSandBox".into()))
    );

    world.rest().await;
    world.look_again().await;
    let writes = world.fake.writes();
    world.look_again().await;
    assert_eq!(world.fake.writes(), writes);
    assert_eq!(lists(&world) - before, 2, "once for each pod");
}

#[tokio::test(start_paused = true)]
async fn a_process_tells_what_it_lacks_before_its_kubelet_gives_up() {
    let world = ready_shop("Delete").await;
    let deployments = world
        .fake
        .with(|store| store.list("apps", "deployments", "shops"));
    let containers = deployments.iter().flat_map(|(_, it)| {
        let containers = it["spec"]["template"]["spec"]["containers"].as_array();
        containers.cloned().unwrap_or_default()
    });
    let probes = containers.map(|container| container["readinessProbe"].clone());
    let ours: Vec<Value> = probes
        .filter(|it| it["httpGet"]["path"] == "/readyz")
        .collect();
    assert_eq!(ours.len(), 8, "the services and the gateway");
    for probe in ours {
        let limit = Duration::from_secs(probe["timeoutSeconds"].as_u64().unwrap_or(1));
        assert!(
            READINESS_LIMIT + Duration::from_millis(400) <= limit,
            "{probe}"
        );
    }
    assert_eq!(
        NO_ANSWER_YET,
        operator_plan::probe::NO_ANSWER_YET,
        "what they say"
    );
}

//! What a user reads when something is wrong that the operator cannot put right.

use serde_json::{Value, json};

use crate::fake::{Fake, Id};
use crate::world::{World, cluster_with_shop, condition, is_ready, ours, pause, ready_shop};

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
async fn a_shop_that_stays_in_trouble_asks_nothing_and_writes_only_news() {
    let fake = cluster_with_shop("Delete");
    set_version(&fake, "missing");
    let world = World::start(fake);
    tokio::time::sleep(std::time::Duration::from_secs(300)).await;
    let shop = ours("storefronts", "demo");
    let text = message(&world.fake, &shop, "Ready");
    assert!(text.contains("does not have it"), "{text}");
    let pod = Id::new("", "pods", "shops", "demo-postgres-0");
    let put = |state: Value| {
        let set = |pod: &mut Value| pod["status"]["containerStatuses"][0]["state"] = state;
        world
            .fake
            .with(|store| store.update(&pod, true, set))
            .expect("changed");
    };
    let (requests, lists) = (world.fake.requests().len(), world.fake.listed().len());
    for turn in 0..20 {
        let (reason, said) = match turn % 2 {
            0 => ("ImagePullBackOff", "Back-off: manifest unknown"),
            _ => ("ErrImagePull", "manifest unknown"),
        };
        put(json!({ "waiting": { "reason": reason, "message": said } }));
        tokio::time::sleep(std::time::Duration::from_secs(10)).await;
    }
    assert_eq!(world.fake.requests().len(), requests);
    assert_eq!(world.fake.listed().len(), lists);
    put(json!({ "waiting": { "reason": "ErrImagePull", "message": "pull access denied" } }));
    let began = tokio::time::Instant::now();
    world
        .until("the shop has the new reason", |fake| {
            message(fake, &shop, "Ready").contains("its registry refuses it")
        })
        .await;
    assert!(began.elapsed().as_secs() < 2, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn nobody_asks_the_pods_of_a_shop_that_is_well() {
    let world = ready_shop("Delete").await;
    let lists = |fake: &Fake| {
        let listed = fake.listed();
        listed.iter().filter(|(kind, _)| kind == "pods").count()
    };
    let before = lists(&world.fake);
    world.look_again().await;
    tokio::time::sleep(std::time::Duration::from_secs(3600)).await;
    assert_eq!(lists(&world.fake), before);
}

/// The parts of a shop's status that people look at first.
fn status(fake: &Fake) -> (Option<(String, String)>, String, Value) {
    fake.with(|store| {
        let shop = store.get(&ours("storefronts", "demo"));
        let ready = condition(shop, "Ready");
        let status = shop.map(|shop| shop["status"].clone()).unwrap_or_default();
        let summary = status["services"]["summary"].as_str().unwrap_or_default();
        (ready, summary.to_owned(), status["blockedBy"].clone())
    })
}

fn aspect(fake: &Fake, type_: &str) -> Option<String> {
    let found = fake.with(|store| condition(store.get(&ours("storefronts", "demo")), type_));
    found.map(|(status, _)| status)
}

const LOGIN: &str = "mail-login";

fn ask_for_login(fake: &Fake) {
    let set = |shop: &mut Value| {
        shop["spec"]["notifications"]["email"]["smtp"]["secretRef"] = json!({ "name": LOGIN });
    };
    fake.with(|store| store.update(&ours("storefronts", "demo"), false, set))
        .expect("changed");
}

fn add_login(fake: &Fake) {
    let secret = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": {},
        "data": { "username": "c2hvcA==", "password": "c2VjcmV0" } });
    fake.with(|store| store.create(&Id::new("", "secrets", "shops", LOGIN), secret))
        .expect("made");
}

#[tokio::test(start_paused = true)]
async fn a_missing_secret_is_named_and_only_what_is_made_of_it_waits() {
    let fake = cluster_with_shop("Delete");
    ask_for_login(&fake);
    let world = World::start(fake);
    world
        .until("all but the mails is there", |fake| status(fake).1 == "6/7")
        .await;
    let (ready, _, blocker) = status(&world.fake);
    assert_eq!(ready, Some(("False".into(), "SecretMissing".into())));
    assert_eq!(blocker["kind"], "Secret");
    assert_eq!(blocker["name"], LOGIN);
    assert_eq!(
        aspect(&world.fake, "DatabaseReady").as_deref(),
        Some("True")
    );
    add_login(&world.fake);
    world
        .until("the shop is ready", |fake| is_ready(fake, "demo"))
        .await;
    assert!(status(&world.fake).2.is_null());
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_vanished_stops_neither_the_looking_nor_the_rest() {
    let fake = cluster_with_shop("Delete");
    ask_for_login(&fake);
    add_login(&fake);
    let world = World::ready(fake).await;
    let made = Id::new("", "secrets", "shops", "demo-smtp");
    let before = world.fake.with(|store| store.get(&made).cloned());
    let sick = Id::new("apps", "statefulsets", "shops", "demo-nats");
    let gone = Id::new("", "services", "shops", "demo-redis");
    world
        .fake
        .with(|store| {
            store.delete(&Id::new("", "secrets", "shops", LOGIN), &json!({}))?;
            store.delete(&gone, &json!({}))?;
            store.set_sick(&sick, true);
            Ok::<_, crate::fake::Refusal>(())
        })
        .expect("changed");
    world
        .until("it says so", |fake| {
            status(fake).0 == Some(("False".into(), "SecretMissing".into()))
                && aspect(fake, "QueueReady").as_deref() == Some("False")
        })
        .await;
    world
        .until("the Service is back", |fake| {
            fake.with(|store| store.get(&gone).is_some())
        })
        .await;
    assert_eq!(status(&world.fake).1, "7/7");
    assert_eq!(world.fake.with(|store| store.get(&made).cloned()), before);
}

#[tokio::test(start_paused = true)]
async fn a_paused_shop_says_how_it_is_and_is_not_touched() {
    let world = ready_shop("Delete").await;
    pause(&world.fake);
    world.rest().await;
    let paused = Some(("Unknown".to_owned(), "Paused".to_owned()));
    assert_eq!(status(&world.fake).0, paused);
    assert_eq!(status(&world.fake).1, "7/7");
    let queue = Id::new("apps", "statefulsets", "shops", "demo-nats");
    let order = Id::new("apps", "deployments", "shops", "demo-order");
    let before = world.fake.requests().len();
    world.fake.with(|store| {
        store.set_sick(&queue, true);
        store.set_sick(&order, true);
    });
    world
        .until("the status follows", |fake| {
            status(fake).1 == "6/7" && aspect(fake, "QueueReady").as_deref() == Some("False")
        })
        .await;
    assert_eq!(status(&world.fake).0, paused);
    assert_eq!(status(&world.fake).2["name"], "demo-nats");
    world.fake.with(|store| {
        store.set_sick(&queue, false);
        store.set_sick(&order, false);
    });
    world
        .until("the status follows", |fake| {
            status(fake).1 == "7/7" && aspect(fake, "QueueReady").as_deref() == Some("True")
        })
        .await;
    assert!(status(&world.fake).2.is_null());
    world.look_again().await;
    let requests = world.fake.requests();
    let touched = requests[before..].iter().filter(|request| {
        request.is_write() && request.subresource != "status" && request.id.resource != "events"
    });
    assert_eq!(touched.count(), 0);
}

fn add_team_service(fake: &Fake, name: &str) {
    let service = json!({ "apiVersion": "storefront.dev/v1alpha1", "kind": "ServiceDeployment",
        "metadata": {}, "spec": { "storefrontRef": { "name": "demo" }, "image": "team.test/it:1",
            "routes": [{ "path": "/v1/reviews", "auth": "Public" }] } });
    fake.with(|store| store.create(&ours("servicedeployments", name), service))
        .expect("made");
}

#[tokio::test(start_paused = true)]
async fn a_path_has_one_owner_and_goes_over_when_he_goes() {
    let world = World::start(cluster_with_shop("Delete"));
    add_team_service(&world.fake, "reviews");
    add_team_service(&world.fake, "young-reviews");
    let told = |fake: &Fake, name: &str| {
        fake.with(|store| {
            condition(
                store.get(&ours("servicedeployments", name)),
                "RoutesAccepted",
            )
        })
    };
    let route = |fake: &Fake, name: &str| {
        let route = format!("{name}-public");
        let id = Id::new("gateway.networking.k8s.io", "httproutes", "shops", &route);
        fake.with(|store| store.get(&id).is_some())
    };
    let accepted = Some(("True".to_owned(), "Accepted".to_owned()));
    let taken = Some(("False".to_owned(), "PathTaken".to_owned()));
    world
        .until("each knows where it stands", |fake| {
            told(fake, "reviews") == accepted && told(fake, "young-reviews") == taken
        })
        .await;
    assert!(!route(&world.fake, "young-reviews"));
    let young = ours("servicedeployments", "young-reviews");
    let text = message(&world.fake, &young, "Ready");
    assert!(
        text.contains("/v1/reviews belongs to ServiceDeployment reviews"),
        "{text}"
    );
    world.rest().await;
    let before = world.fake.writes();
    world.look_again().await;
    assert_eq!(world.fake.writes(), before);

    let old = ours("servicedeployments", "reviews");
    let move_on = |service: &mut Value| service["spec"]["routes"][0]["path"] = "/v1/old".into();
    world
        .fake
        .with(|store| store.update(&old, false, move_on))
        .expect("changed");
    world
        .until("the path has gone over", |fake| {
            told(fake, "young-reviews") == accepted && told(fake, "reviews") == accepted
        })
        .await;
    let back = |service: &mut Value| service["spec"]["routes"][0]["path"] = "/v1/reviews".into();
    world
        .fake
        .with(|store| store.update(&old, false, back))
        .expect("changed");
    world
        .until("the older one has it back", |fake| {
            told(fake, "young-reviews") == taken && !route(fake, "young-reviews")
        })
        .await;
    world.fake.delete(&old);
    world
        .until("the path has gone over", |fake| {
            told(fake, "young-reviews") == accepted
        })
        .await;
}

/// Images that a workload of the shop has had, oldest first.
fn images(fake: &Fake, resource: &str, name: &str) -> Vec<String> {
    let id = Id::new("apps", resource, "shops", name);
    let mut images: Vec<String> = fake.with(|store| {
        let entries = store.history.iter().filter(|entry| entry.id == id);
        let image = |object: &Value| {
            let image = &object["spec"]["template"]["spec"]["containers"][0]["image"];
            image.as_str().unwrap_or_default().to_owned()
        };
        entries.map(|entry| image(&entry.object)).collect()
    });
    images.dedup();
    images
}

/// The Jobs that try images, and whether they are there.
fn tries(fake: &Fake) -> usize {
    let jobs = fake.with(|store| store.list("batch", "jobs", "shops"));
    let is_try = |(id, _): &&(Id, Value)| id.name.starts_with("demo-proof-");
    jobs.iter().filter(is_try).count()
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_to_images_that_are_not_there_leaves_the_servers_alone() {
    let world = ready_shop("Delete").await;
    set_version(&world.fake, "missing");
    let shop = ours("storefronts", "demo");
    world
        .until("the shop names the image", |fake| {
            let text = message(fake, &shop, "Ready");
            text.contains("image registry.test/postgres:missing cannot be pulled")
        })
        .await;
    let waiting = Some(("False".to_owned(), "UpgradeWaiting".to_owned()));
    assert_eq!(status(&world.fake).0, waiting);
    assert_eq!(status(&world.fake).2["kind"], "Job");
    for part in ["DatabaseReady", "QueueReady", "CacheReady"] {
        assert_eq!(aspect(&world.fake, part).as_deref(), Some("True"), "{part}");
    }
    assert_eq!(tries(&world.fake), 3);
    tokio::time::sleep(std::time::Duration::from_secs(120)).await;
    let before = world.fake.writes();
    tokio::time::sleep(std::time::Duration::from_secs(600)).await;
    assert_eq!(world.fake.writes(), before);

    set_version(&world.fake, "1.0.0");
    world
        .until("the shop is ready", |fake| is_ready(fake, "demo"))
        .await;
    assert_eq!(tries(&world.fake), 0);
    for (resource, name, part) in [
        ("statefulsets", "demo-postgres", "postgres"),
        ("statefulsets", "demo-nats", "nats"),
        ("deployments", "demo-redis", "redis"),
    ] {
        let only = format!("registry.test/{part}:1.0.0");
        assert_eq!(images(&world.fake, resource, name), [only]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_moves_each_server_once_after_its_image_was_seen_to_start() {
    let world = ready_shop("Delete").await;
    set_version(&world.fake, "2.0.0");
    let servers = |fake: &Fake| images(fake, "statefulsets", "demo-postgres");
    world
        .until("the server moves", |fake| servers(fake).len() == 2)
        .await;
    world
        .until("the shop is ready", |fake| {
            is_ready(fake, "demo") && tries(fake) == 0
        })
        .await;
    assert_eq!(
        servers(&world.fake),
        [
            "registry.test/postgres:1.0.0",
            "registry.test/postgres:2.0.0"
        ]
    );
    let order: Vec<Value> = world.fake.with(|store| {
        let entries = store.history.iter();
        let told = entries.filter_map(|entry| match entry.id.resource.as_str() {
            "jobs" if entry.id.name.starts_with("demo-proof-postgres-") => {
                Some(entry.object["status"]["succeeded"].clone())
            }
            "statefulsets" if entry.id.name == "demo-postgres" => {
                Some(entry.object["spec"]["template"]["spec"]["containers"][0]["image"].clone())
            }
            _ => None,
        });
        told.collect()
    });
    let proven = order
        .iter()
        .position(|it| *it == json!(1))
        .expect("it was tried");
    let moved = order
        .iter()
        .position(|it| *it == json!("registry.test/postgres:2.0.0"));
    assert!(Some(proven) < moved, "{order:?}");
    world.rest().await;
    let before = world.fake.writes();
    world.look_again().await;
    assert_eq!(world.fake.writes(), before);
}

#[tokio::test(start_paused = true)]
async fn an_operator_that_may_not_ask_pods_still_tells_what_it_sees() {
    let fake = cluster_with_shop("Delete");
    set_version(&fake, "missing");
    fake.not_serving(&["pods"]);
    let world = World::start(fake);
    world
        .until("the shop names the server", |fake| {
            let text = message(fake, &ours("storefronts", "demo"), "Ready");
            text.contains("StatefulSet demo-postgres is not ready since")
                && text.contains("0 of 1 pods are ready")
        })
        .await;
}

//! Policies and routes of others at the Gateway of a shop: what is not honoured, and what they may not take.

use serde_json::{Value, json};

use crate::fake::{Fake, Id};
use crate::world::{World, cluster_with_shop, is_ready, ours, ready_shop};

fn policy() -> Id {
    Id::new(
        "gateway.networking.k8s.io",
        "backendtlspolicies",
        "shops",
        "encrypted",
    )
}

fn said(fake: &Fake) -> Value {
    let found = fake.with(|store| store.get(&policy()).cloned());
    found.unwrap_or_default()["status"]["ancestors"][0]["conditions"][0].clone()
}

fn route(name: &str) -> Id {
    Id::new("gateway.networking.k8s.io", "httproutes", "shops", name)
}

/// Status, reason and message of a condition of a route.
fn condition(fake: &Fake, name: &str, type_: &str) -> (String, String, String) {
    let found = fake.with(|store| store.get(&route(name)).cloned());
    let list = found.unwrap_or_default()["status"]["parents"][0]["conditions"].clone();
    let list = list.as_array().cloned().unwrap_or_default();
    let found = list.into_iter().find(|it| it["type"] == type_);
    let found = found.unwrap_or_default();
    let word = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
    (word("status"), word("reason"), word("message"))
}

fn resolved(fake: &Fake, name: &str) -> (String, String) {
    let (status, reason, _) = condition(fake, name, "ResolvedRefs");
    (status, reason)
}

fn add_route(fake: &Fake, name: &str, path: &str) {
    let made = json!({ "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {},
        "spec": { "parentRefs": [{ "name": "demo" }], "rules": [{
            "matches": [{ "path": { "type": "PathPrefix", "value": path } }],
            "backendRefs": [{ "name": "demo-web", "port": 8080 }] }] } });
    fake.with(|store| store.create(&route(name), made))
        .expect("made");
}

#[tokio::test(start_paused = true)]
async fn a_route_of_somebody_else_is_told_that_a_path_belongs_to_the_shop() {
    let world = ready_shop("Delete").await;
    add_route(&world.fake, "thief", "/v1/orders");
    add_route(&world.fake, "blog", "/blog");
    let accepted = |fake: &Fake, name: &str| condition(fake, name, "Accepted");
    world
        .until("the one is refused", |fake| {
            accepted(fake, "thief").1 == "PathTaken"
        })
        .await;
    let (status, _, message) = accepted(&world.fake, "thief");
    assert_eq!(status, "False");
    assert!(
        message.contains("HTTPRoute demo-order-required"),
        "{message}"
    );
    world
        .until("the other one is accepted", |fake| {
            accepted(fake, "blog").0 == "True"
        })
        .await;
    assert_eq!(accepted(&world.fake, "demo-order-required").0, "True");
    world.rest().await;
    assert!(is_ready(&world.fake, "demo"));
}

const KEYS: &str = "https://keys.example/jwks.json";
const ADDRESS: &str = "10.9.9.9";

/// The pod of the data plane of the shop, ready, with an address.
fn add_data_plane(fake: &Fake) {
    let id = Id::new("", "pods", "shops", "demo-gateway-5d9c-aaaaa");
    let pod = json!({ "apiVersion": "v1", "kind": "Pod",
        "metadata": { "labels": { "app.kubernetes.io/managed-by": "storefront-operator",
                "gateway.networking.k8s.io/gateway-name": "demo" },
            "ownerReferences": [{ "apiVersion": "apps/v1", "kind": "ReplicaSet",
                "name": "demo-gateway-5d9c", "uid": "u", "controller": true }] },
        "spec": { "containers": [{ "name": "gateway", "image": "gateway:1" }] },
        "status": { "phase": "Running", "podIP": ADDRESS,
            "conditions": [{ "type": "Ready", "status": "True" }] } });
    fake.with(|store| store.create(&id, pod)).expect("made");
}

fn add_token_policy(fake: &Fake) -> Id {
    let id = ours("jwtpolicies", "blog");
    let policy = json!({ "apiVersion": "storefront.dev/v1alpha1", "kind": "JwtPolicy", "metadata": {},
        "spec": { "issuer": "https://keys.example", "jwksUri": KEYS, "mode": "Required",
            "targetRefs": [{ "group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": "blog" }] } });
    fake.with(|store| store.create(&id, policy)).expect("made");
    id
}

#[tokio::test(start_paused = true)]
async fn a_policy_whose_keys_the_data_plane_cannot_get_says_so_until_it_can() {
    let world = ready_shop("Delete").await;
    let why = "failed to get the key set: connection refused";
    world.answers.set(ADDRESS, 200, &[], &[(KEYS, why)]);
    add_data_plane(&world.fake);
    add_route(&world.fake, "blog", "/blog");
    let policy = add_token_policy(&world.fake);
    let accepted = |fake: &Fake| {
        let found = fake.with(|store| store.get(&policy).cloned());
        let found = found.unwrap_or_default()["status"]["ancestors"][0]["conditions"][0].clone();
        (found["reason"].clone(), found["message"].clone())
    };
    world
        .until("it is told", |fake| accepted(fake).0 == "KeysUnavailable")
        .await;
    let (_, message) = accepted(&world.fake);
    let message = message.as_str().unwrap_or_default();
    assert!(
        message.contains(why) && message.contains("Gateway demo"),
        "{message}"
    );

    world.answers.set(ADDRESS, 200, &[], &[]);
    let began = tokio::time::Instant::now();
    world
        .until("the keys are there", |fake| accepted(fake).0 == "Accepted")
        .await;
    assert!(began.elapsed().as_secs() <= 15, "{:?}", began.elapsed());
    world.rest().await;
    // Nothing more is asked while nothing changes.
    let lists = || world.fake.listed().len();
    let before = (world.fake.requests().len(), lists());
    tokio::time::sleep(std::time::Duration::from_secs(200)).await;
    assert_eq!((world.fake.requests().len(), lists()), before);

    // A new pod of the data plane has to get them by itself.
    world.answers.set("10.9.9.9", 200, &[], &[(KEYS, why)]);
    let old = Id::new("", "pods", "shops", "demo-gateway-5d9c-aaaaa");
    let pod = world.fake.with(|store| store.get(&old).cloned());
    let next = Id::new("", "pods", "shops", "demo-gateway-5d9c-bbbbb");
    world
        .fake
        .with(|store| {
            drop(store.delete(&old, &Value::Null));
            store.create(&next, pod.expect("the pod"))
        })
        .expect("made");
    world
        .until("it is told again", |fake| {
            accepted(fake).0 == "KeysUnavailable"
        })
        .await;
}

/// Type, status, reason and message of each condition of a policy.
fn conditions(fake: &Fake, policy: &Id) -> Vec<[String; 4]> {
    let found = fake.with(|store| store.get(policy).cloned());
    let list = found.unwrap_or_default()["status"]["ancestors"][0]["conditions"].clone();
    let list = list.as_array().cloned().unwrap_or_default();
    let fields = ["type", "status", "reason", "message"];
    list.iter()
        .map(|it| fields.map(|field| it[field].as_str().unwrap_or_default().to_owned()))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn keys_that_cannot_be_fetched_again_are_reported_while_they_serve_and_until_they_can() {
    let world = ready_shop("Delete").await;
    world.answers.set(ADDRESS, 200, &[], &[]);
    add_data_plane(&world.fake);
    add_route(&world.fake, "blog", "/blog");
    let policy = add_token_policy(&world.fake);
    world
        .until("it is accepted", |fake| {
            conditions(fake, &policy).len() == 1 && conditions(fake, &policy)[0][1] == "True"
        })
        .await;
    world.rest().await;

    // The data plane finds out by itself, and its kubelet warns.
    let why = "has failed since 2026-01-02T03:04:05Z: failed to get the key set: timed out";
    let refresh = format!("refresh of {KEYS}");
    world.answers.set(ADDRESS, 300, &[], &[(&refresh, why)]);
    let event = json!({ "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {},
        "reason": "ProbeWarning", "type": "Warning", "regarding": {
            "kind": "Pod", "namespace": "shops", "name": "demo-gateway-5d9c-aaaaa" } });
    let id = Id::new("events.k8s.io", "events", "shops", "demo-gateway.1");
    let began = tokio::time::Instant::now();
    world
        .fake
        .with(|store| store.create(&id, event))
        .expect("recorded");
    let is_stale = |fake: &Fake| conditions(fake, &policy).len() == 2;
    world.until("it is told", is_stale).await;
    assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
    let told = conditions(&world.fake, &policy);
    assert_eq!(told[0][..2], ["Accepted", "True"]);
    assert_eq!(told[1][..3], ["KeysStale", "True", "RefreshFailed"]);
    let message = &told[1][3];
    assert!(
        message.contains(why) && message.contains("Gateway demo"),
        "{message}"
    );

    world.answers.set(ADDRESS, 200, &[], &[]);
    let began = tokio::time::Instant::now();
    world
        .until("it is fetched again", |fake| !is_stale(fake))
        .await;
    assert!(began.elapsed().as_secs() <= 15, "{:?}", began.elapsed());
    world.rest().await;
    let before = (world.fake.requests().len(), world.fake.listed().len());
    tokio::time::sleep(std::time::Duration::from_secs(200)).await;
    let after = (world.fake.requests().len(), world.fake.listed().len());
    assert_eq!(after, before);
}

#[tokio::test(start_paused = true)]
async fn a_shops_own_policies_cost_no_question_to_its_data_plane() {
    let fake = cluster_with_shop("Delete");
    add_data_plane(&fake);
    let world = World::ready(fake).await;
    let listed = world.fake.listed();
    let by_gateway = |labels: &String| labels.contains("gateway-name");
    assert!(
        listed.iter().all(|(_, labels)| !by_gateway(labels)),
        "{listed:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_policy_for_tls_towards_a_service_of_the_shop_is_refused_and_takes_no_route_away() {
    let world = ready_shop("Delete").await;
    let made = json!({ "apiVersion": "gateway.networking.k8s.io/v1", "kind": "BackendTLSPolicy", "metadata": {},
        "spec": { "targetRefs": [{ "group": "", "kind": "Service", "name": "demo-order" }],
            "validation": { "hostname": "order", "wellKnownCACertificates": "System" } } });
    world
        .fake
        .with(|store| store.create(&policy(), made))
        .expect("made");
    world
        .until("it is told", |fake| said(fake)["reason"] == "Conflicted")
        .await;
    assert_eq!(said(&world.fake)["status"], "False");
    world.rest().await;
    let order = resolved(&world.fake, "demo-order-required");
    assert_eq!(order, ("True".into(), "ResolvedRefs".into()));
    assert!(is_ready(&world.fake, "demo"));
    let before = world.fake.writes();
    world.look_again().await;
    assert_eq!(world.fake.writes(), before);
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_does_not_know_the_policy_is_served_all_the_same() {
    let fake = cluster_with_shop("Delete");
    fake.not_serving(&["backendtlspolicies"]);
    let world = World::ready(fake).await;
    assert!(world.health.waiting_for().is_empty());
}

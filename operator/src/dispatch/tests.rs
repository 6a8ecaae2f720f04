use crds::DatabaseBindingSpec;
use kube_cache::Sent;
use serde_json::json;

use super::*;

fn binding(generation: i64, version: &str) -> Arc<Full<DatabaseBinding>> {
    let spec: DatabaseBindingSpec =
        serde_json::from_value(json!({ "serverRef": { "storefront": "demo" } })).unwrap();
    let mut binding = DatabaseBinding::new("demo-auth", spec);
    binding.metadata.namespace = Some("shops".into());
    binding.metadata.generation = Some(generation);
    binding.metadata.resource_version = Some(version.into());
    let owner = json!({ "apiVersion": "storefront.dev/v1alpha1", "kind": "Storefront",
        "name": "demo", "uid": "u", "controller": true });
    binding.metadata.owner_references = Some(vec![serde_json::from_value(owner).unwrap()]);
    Arc::new(Full(Arc::new(binding)))
}

fn set(
    old: Option<Arc<Full<DatabaseBinding>>>,
    new: Arc<Full<DatabaseBinding>>,
    source: Source,
) -> Change<Full<DatabaseBinding>> {
    Change::Set { old, new, source }
}

#[test]
fn a_status_is_no_news_but_a_spec_and_a_deletion_are() {
    let seen = |old, new| set(Some(old), new, Source::Watch);
    assert!(news(&seen(binding(1, "1"), binding(1, "2"))).is_none());
    assert!(news(&seen(binding(1, "1"), binding(2, "2"))).is_some());
    assert!(news(&Change::Gone(binding(1, "2"))).is_some());
    let mut going = DatabaseBinding::clone(&binding(1, "1").0);
    let now = k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(jiff::Timestamp::now());
    going.metadata.deletion_timestamp = Some(now);
    assert!(news(&seen(binding(1, "1"), Arc::new(Full(Arc::new(going))))).is_some());
}

#[test]
fn a_finalizer_is_news_unless_we_wrote_it() {
    let mut held = DatabaseBinding::clone(&binding(1, "2").0);
    held.metadata.finalizers = Some(vec!["storefront.dev/database".into()]);
    let held = Arc::new(Full(Arc::new(held)));
    let change = |source| set(Some(binding(1, "1")), Arc::clone(&held), source);
    assert!(news(&change(Source::Watch)).is_some());
    assert!(news(&change(Source::Write)).is_none());
}

#[test]
fn a_child_wakes_its_owner() {
    let queues = Queues::new(&Metrics::new().unwrap());
    queues.owner(&Change::Gone(binding(1, "1")));
    assert_eq!(queues.storefronts.appointments(), 1);
    assert_eq!(queues.services.appointments(), 0);
}

#[test]
fn what_an_owner_wrote_itself_does_not_wake_it_but_a_status_that_its_child_wrote_does() {
    let queues = Queues::new(&Metrics::new().unwrap());
    queues.owner(&set(None, binding(1, "1"), Source::Write));
    queues.owner(&set(Some(binding(1, "1")), binding(2, "2"), Source::Write));
    assert_eq!(queues.storefronts.appointments(), 0);
    queues.owner(&set(Some(binding(2, "2")), binding(2, "3"), Source::Write));
    assert_eq!(queues.storefronts.appointments(), 1);
}

fn shop_server(ready: i32, version: &str) -> Arc<Trimmed<StatefulSet>> {
    let set = json!({ "apiVersion": "apps/v1", "kind": "StatefulSet",
        "metadata": { "name": "demo-postgres", "namespace": "shops", "generation": 1,
            "resourceVersion": version, "ownerReferences": [{ "apiVersion": "storefront.dev/v1alpha1",
                "kind": "Storefront", "name": "demo", "uid": "u", "controller": true }] },
        "status": { "replicas": 1, "readyReplicas": ready } });
    let set: Sent = serde_json::from_str(&set.to_string()).unwrap();
    Arc::new(Trimmed::decode(&set).ok().unwrap())
}

#[test]
fn databases_are_audited_when_their_server_comes_and_when_it_goes() {
    let caches = Caches::default();
    caches
        .database_bindings
        .record(Full(Arc::clone(&binding(1, "1").0)));
    for (before, after, audits) in [(0, 1, 1), (1, 0, 1), (1, 1, 0), (0, 0, 0)] {
        let queues = Queues::new(&Metrics::new().unwrap());
        let change = Change::Set {
            old: Some(shop_server(before, "1")),
            new: shop_server(after, "2"),
            source: Source::Watch,
        };
        queues.stateful_set(&caches, &change);
        assert_eq!(
            queues.bindings.appointments(),
            audits,
            "{before} to {after}"
        );
    }
}

fn told(name: &str, server: &str, is_ready: bool) -> Arc<Full<DatabaseBinding>> {
    let ready = if is_ready { "True" } else { "Unknown" };
    let binding = json!({ "apiVersion": "storefront.dev/v1alpha1", "kind": "DatabaseBinding",
        "metadata": { "name": name, "namespace": "shops", "generation": 1,
            "resourceVersion": if is_ready { "1" } else { "2" } },
        "spec": { "serverRef": { "adminSecret": { "name": server } } },
        "status": { "conditions": [{ "type": "DatabaseReady", "status": ready, "reason": "x", "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z" }] } });
    Arc::new(Full(Arc::new(serde_json::from_value(binding).unwrap())))
}

#[test]
fn what_one_binding_finds_wrong_is_looked_for_by_the_others_of_its_server() {
    let caches = Caches::default();
    for (name, server) in [("a", "here"), ("b", "here"), ("c", "elsewhere")] {
        caches
            .database_bindings
            .record(Full(Arc::clone(&told(name, server, true).0)));
    }
    let queues = Queues::new(&Metrics::new().unwrap());
    let (well, ill) = (told("a", "here", true), told("a", "here", false));
    queues.binding(
        &caches,
        &set(Some(Arc::clone(&well)), Arc::clone(&ill), Source::Write),
    );
    assert_eq!(queues.bindings.appointments(), 1);
    // It comes back: each of them tries again by itself.
    let queues = Queues::new(&Metrics::new().unwrap());
    queues.binding(&caches, &set(Some(ill), well, Source::Write));
    assert_eq!(queues.bindings.appointments(), 0);
}

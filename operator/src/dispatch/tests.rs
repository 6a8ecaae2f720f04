use crds::DatabaseBindingSpec;
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

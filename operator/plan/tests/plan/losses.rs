//! What the workloads of a lost database do, and what a shop says of its databases.

use crds::{ServiceDeployment, Storefront};
use jiff::Timestamp;
use operator_plan::{conditions::find, service_deployment};
use serde_json::{Value, json};

use crate::fixtures::{children, migrated, platform, shop, valid_service};
use crate::status::{look, of_shop, well};

fn order_service(shop: &Storefront) -> ServiceDeployment {
    let mut all = children(shop).into_iter();
    let order = all.find(|service| service.metadata.name.as_deref() == Some("demo-order"));
    order.expect("the order service")
}

#[test]
fn an_empty_database_in_the_place_of_a_lost_one_is_migrated_and_its_pods_restart() {
    let shop = shop("storefront.yaml");
    let order = order_service(&shop);
    let mut seen = migrated(&order, &shop);
    let valid = |seen: &service_deployment::Observed| {
        let verdict = service_deployment::validate(&order, seen, &platform());
        verdict.ready().expect("valid")
    };
    assert!(valid(&seen).migration().is_past());
    let binding = seen.bindings.get_mut("demo-order").expect("its database");
    let status = std::sync::Arc::make_mut(binding).status.as_mut();
    let status = status.expect("a status");
    status.recreation = Some(crds::Recreation {
        number: 1,
        ..crds::Recreation::default()
    });
    let again = valid(&seen);
    assert!(!again.migration().is_past(), "the database is empty");
    let pods = service_deployment::desired(&valid_service(&order, &shop)).items;
    let before = pods.iter().find(|item| item.key.kind == "Deployment");
    let service_deployment::Migration::Running { job } = again.migration() else {
        panic!("a migration runs");
    };
    let done = seen.jobs.values().next().expect("the one before").clone();
    seen.jobs.insert(job.clone(), done);
    let pods = service_deployment::desired(&valid(&seen)).items;
    let after = pods.iter().find(|item| item.key.kind == "Deployment");
    let template = |item: Option<&operator_plan::Planned>| {
        item.expect("planned").body["spec"]["template"]["metadata"].clone()
    };
    assert_ne!(template(before), template(after));
}

/// A binding as its controller reports it.
fn says(ready: &str, others: &[(&str, &str)]) -> Value {
    let one = |type_: &str, status: &str, reason: &str| {
        json!({ "type": type_, "status": status, "reason": reason, "message": "what to do",
            "observedGeneration": 1, "lastTransitionTime": "1970-01-01T00:00:00Z" })
    };
    let others = others
        .iter()
        .map(|(type_, status)| one(type_, status, ready));
    let mut all = vec![one("Ready", "False", ready), one("Stalled", "True", ready)];
    all.extend(others);
    json!({ "binding": { "name": "demo-order-db" }, "conditions": all })
}

fn shop_with(binding: &Value, failing: &Value) -> crds::StorefrontStatus {
    let shop = shop("storefront.yaml");
    let seen = look(&shop, |item| {
        let mut status = well(item);
        match (item.key.kind.as_str(), item.key.name.as_str()) {
            ("DatabaseBinding", "demo-order") => return binding.clone(),
            ("ServiceDeployment", "demo-auth") => status["failing"] = failing.clone(),
            _ => {}
        }
        status
    });
    of_shop(&shop, &seen, Timestamp::UNIX_EPOCH)
}

#[test]
fn a_lost_database_is_what_its_shop_names_first() {
    let failing = json!([
        { "name": "database", "message": "password authentication failed" },
        { "name": "bus", "message": "no login" },
    ]);
    let before = shop_with(&json!({}), &failing);
    let ready = find(&before.conditions, "Ready").expect("told");
    assert!(ready.message.contains("password authentication failed"));

    let lost = says("DatabaseLost", &[("DatabaseReady", "False")]);
    let status = shop_with(&lost, &failing);
    for type_ in ["Ready", "DatabaseReady", "Stalled"] {
        let found = find(&status.conditions, type_).expect("told");
        assert_eq!(found.reason, "DatabaseLost", "{type_}");
        assert!(
            found
                .message
                .contains("DatabaseBinding demo-order is not ready since")
                && found.message.ends_with("what to do"),
            "{}",
            found.message
        );
    }
    let blocker = status.blocked_by.expect("told");
    assert_eq!(
        (&*blocker.kind, &*blocker.name),
        ("DatabaseBinding", "demo-order")
    );
}

#[test]
fn a_binding_that_somebody_elses_finalizer_keeps_is_named_and_its_database_used() {
    let held = says(
        "HeldByFinalizer",
        &[("DatabaseReady", "True"), ("SecretReady", "True")],
    );
    let status = shop_with(&held, &json!([]));
    let reason = |type_: &str| {
        find(&status.conditions, type_)
            .expect("told")
            .reason
            .clone()
    };
    assert_eq!(reason("DatabaseReady"), "Ready");
    assert_eq!(reason("ServicesReady"), "Ready");
    assert_eq!(reason("Ready"), "HeldByFinalizer");
    assert_eq!(reason("Stalled"), "HeldByFinalizer");
    assert_eq!(status.blocked_by.expect("told").name, "demo-order");

    let shop = shop("storefront.yaml");
    let order = order_service(&shop);
    let mut seen = migrated(&order, &shop);
    let validate = |seen: &service_deployment::Observed| {
        service_deployment::validate(&order, seen, &platform())
            .ready()
            .is_some()
    };
    for (told, is_used) in [
        (held, true),
        (says("DatabaseLost", &[("SecretReady", "True")]), false),
    ] {
        let binding = seen.bindings.get_mut("demo-order").expect("its database");
        let binding = std::sync::Arc::make_mut(binding);
        binding.metadata.generation = Some(1);
        let status = binding.status.as_mut().expect("a status");
        status.conditions = serde_json::from_value(told["conditions"].clone()).expect("conditions");
        assert_eq!(validate(&seen), is_used);
    }
}

//! When an object waits for a person, and since when.

use crds::{Condition, DatabaseBinding, ServiceDeployment, Storefront};
use jiff::{SignedDuration, Timestamp};
use operator_plan::conditions::{
    Aspect, DEADLINE, OVERDUE, conditions, find, reconciling, summary, time_left,
};
use operator_plan::storefront::{Live, held};
use serde_json::json;

use crate::fixtures::{children, shop};
use crate::status::{condition, look, of_shop, well};

const START: Timestamp = Timestamp::UNIX_EPOCH;

fn step(before: &[Condition], generation: i64, after: SignedDuration) -> Vec<Condition> {
    let aspects = reconciling("ServicesNotReady", "6 of 7");
    conditions(before, &aspects, Some(generation), START + after)
}

fn is_true(list: &[Condition], type_: &str) -> bool {
    find(list, type_).is_some_and(Condition::is_true)
}

#[test]
fn what_is_in_progress_for_too_long_is_stalled_and_a_new_generation_has_time_again() {
    let first = step(&[], 1, SignedDuration::ZERO);
    assert_eq!(time_left(&first, START), Some(DEADLINE));
    let early = step(&first, 1, DEADLINE - SignedDuration::from_secs(1));
    assert!(is_true(&early, "Reconciling") && !is_true(&early, "Stalled"));
    let late = step(&early, 1, DEADLINE);
    assert!(is_true(&late, "Stalled") && !is_true(&late, "Reconciling"));
    let stalled = find(&late, "Stalled").expect("Stalled");
    assert_eq!(stalled.reason, OVERDUE);
    assert!(stalled.message.contains("6 of 7"), "{}", stalled.message);
    let later = step(&late, 1, DEADLINE * 2);
    assert_eq!(later, late, "nothing new is nothing to write");
    let again = step(&later, 2, DEADLINE * 3);
    assert!(is_true(&again, "Reconciling") && !is_true(&again, "Stalled"));
    let changed = step(&early, 2, DEADLINE * 2);
    assert!(is_true(&changed, "Reconciling"), "{changed:?}");
}

#[test]
fn work_with_a_deadline_of_its_own_is_not_cut_short() {
    let aspects = reconciling("Migrating", "waiting for Job a");
    let first = conditions(&[], &aspects, Some(1), START);
    let much_later = START + DEADLINE * 20;
    let later = conditions(&first, &aspects, Some(1), much_later);
    assert!(is_true(&later, "Reconciling") && !is_true(&later, "Stalled"));
}

#[test]
fn what_follows_work_with_a_deadline_of_its_own_has_its_whole_time() {
    let migrating = reconciling("Migrating", "waiting for Job a");
    let first = conditions(&[], &migrating, Some(1), START);
    let mut at = START + DEADLINE * 2;
    let starting = reconciling("PodsNotReady", "0 of 1");
    let next = conditions(&first, &starting, Some(1), at);
    assert!(is_true(&next, "Reconciling") && !is_true(&next, "Stalled"));
    assert_eq!(time_left(&next, at), Some(DEADLINE));
    at += DEADLINE;
    let late = conditions(&next, &starting, Some(1), at);
    assert!(is_true(&late, "Stalled"));
}

#[test]
fn a_migration_of_a_service_does_not_stall_its_shop() {
    let mut shop = shop("storefront.yaml");
    let objects = look(&shop, |item| match item.key.name.as_str() {
        "demo-order" => {
            let mut ready = condition("Ready", "False");
            ready["reason"] = "Migrating".into();
            json!({ "conditions": [ready] })
        }
        _ => well(item),
    });
    shop.status = Some(of_shop(&shop, &objects, START));
    let later = of_shop(&shop, &objects, START + DEADLINE * 2);
    assert!(is_true(&later.conditions, "Reconciling"), "{later:?}");
    assert!(!is_true(&later.conditions, "Stalled"), "{later:?}");
    let ready = find(&later.conditions, "Ready").expect("Ready");
    assert_eq!(ready.reason, "Migrating");
}

#[test]
fn one_part_that_waits_for_a_person_stalls_the_whole_and_the_first_is_named() {
    let parts = [
        Aspect::yes("BindingsReady", "Ready", ""),
        Aspect::no("Migrated", "Migrating", "soon"),
        Aspect::no("Available", "InvalidImageName", "never").stalling(true),
    ];
    let summary = summary(&parts);
    let told: Vec<(&str, &str)> = summary
        .iter()
        .map(|aspect| (aspect.type_, aspect.reason.as_str()))
        .collect();
    assert_eq!(
        told,
        [("Ready", "Migrating"), ("Stalled", "InvalidImageName")]
    );
}

#[test]
fn a_deletion_names_the_child_that_holds_it_up_since_when_and_why() {
    let shop: Storefront = crate::fixtures::shop("storefront.yaml");
    let binding: DatabaseBinding = serde_json::from_value(json!({
        "apiVersion": "storefront.dev/v1alpha1", "kind": "DatabaseBinding",
        "metadata": { "name": "demo-order", "deletionTimestamp": "2026-01-01T00:00:00Z" },
        "spec": { "serverRef": { "storefront": "demo" } },
        "status": { "conditions": [
            { "type": "Ready", "status": "False", "reason": "BackupFailed",
              "message": "Job b could not dump the database", "lastTransitionTime": "2026-01-01T00:00:00Z" },
            { "type": "Stalled", "status": "True", "reason": "BackupFailed",
              "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z" }] },
    }))
    .expect("a binding");
    let live = Live {
        services: Vec::new(),
        bindings: vec![binding],
    };
    let found = held("waiting for the databases demo-order", &live);
    assert_eq!(
        found.message,
        "waiting for the databases demo-order; DatabaseBinding demo-order is being deleted since 2026-01-01T00:00:00Z: Job b could not dump the database"
    );
    assert!(found.stalls);
    assert_eq!(found.blocker.expect("a blocker").name, "demo-order");

    let services: Vec<ServiceDeployment> = children(&shop);
    let live = Live {
        services,
        bindings: Vec::new(),
    };
    let found = held("waiting for the services", &live);
    assert_eq!(found.message, "waiting for the services");
    assert!(!found.stalls);
}

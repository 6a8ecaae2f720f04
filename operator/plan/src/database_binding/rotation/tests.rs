//! A rotation told step by step, at instants that the test names.

use serde_json::{Value, json};

use super::*;

/// When the binding of these tests was created.
const CREATED: i64 = 1_000_000;

fn at(secs: i64) -> Timestamp {
    Timestamp::from_second(CREATED + secs).expect("an instant")
}

/// A binding that has its first credentials.
fn binding(rotation: &Value) -> DatabaseBinding {
    let mut binding: DatabaseBinding = serde_json::from_value(json!({
        "apiVersion": "storefront.dev/v1alpha1", "kind": "DatabaseBinding",
        "metadata": { "name": "auth", "namespace": "shops", "uid": "u1" },
        "spec": { "serverRef": { "storefront": "demo" } },
        "status": { "binding": { "name": "auth-db" } },
    }))
    .expect("a binding");
    binding.metadata.creation_timestamp = Some(Time(at(0)));
    binding.spec.rotation = serde_json::from_value(rotation.clone()).expect("a rotation");
    binding
}

fn hourly() -> DatabaseBinding {
    binding(&json!({ "every": "1h", "overlap": "10m" }))
}

fn ask(binding: &mut DatabaseBinding, value: &str) {
    let annotations = binding.metadata.annotations.get_or_insert_default();
    annotations.insert(ROTATE.into(), value.into());
}

fn wanted(binding: &DatabaseBinding) -> Wanted {
    Wanted::of(binding, true).expect("stored")
}

/// What the operator does with the status, without the operator: one look at `now`.
fn look(binding: &mut DatabaseBinding, now: Timestamp) -> Stage {
    let old = wanted(binding);
    let mut new = rotation(binding, &old, now);
    let stage = stage(new.as_ref(), now);
    set(binding, new.clone());
    match stage {
        Stage::Incoming => {
            new = Some(taken_over(binding, state(binding), &old, now));
            let status = binding.status.as_mut().expect("a status");
            status.binding = Some(crds::BindingRef {
                name: old.next().names.secret,
            });
        }
        Stage::Outgoing => new.as_mut().expect("a rotation").outgoing = None,
        Stage::Unused | Stage::Rest | Stage::Overlap => {}
    }
    set(binding, new);
    stage
}

fn set(binding: &mut DatabaseBinding, rotation: Option<RotationStatus>) {
    binding.status.get_or_insert_default().rotation = rotation;
}

fn state(binding: &DatabaseBinding) -> &RotationStatus {
    let status = binding.status.as_ref().expect("a status");
    status.rotation.as_ref().expect("a rotation")
}

/// Seconds until the next step.
fn wait(binding: &DatabaseBinding, now: Timestamp) -> Option<u64> {
    let rotation = binding.status.as_ref().and_then(|s| s.rotation.as_ref());
    Some(next_step(binding, rotation, now)?.as_secs())
}

#[test]
fn nothing_is_said_of_rotation_until_somebody_asks() {
    let mut binding = binding(&Value::Null);
    assert_eq!(look(&mut binding, at(1_000_000)), Stage::Unused);
    assert_eq!(binding.status.as_ref().expect("a status").rotation, None);
    assert_eq!(wait(&binding, at(0)), None);
}

#[test]
fn a_schedule_goes_round_and_round() {
    let mut binding = hourly();
    let first = wanted(&binding).names;
    assert_eq!(look(&mut binding, at(3_599)), Stage::Rest);
    assert_eq!(state(&binding).next_at, Some(Time(at(3_600))));
    assert_eq!(wait(&binding, at(3_599)), Some(1));
    assert_eq!(look(&mut binding, at(3_600)), Stage::Incoming);
    let old = state(&binding).outgoing.clone().expect("the old ones");
    assert_eq!((&old.role, &old.secret), (&first.login, &first.secret));
    assert_eq!(old.until, Time(at(4_200)));
    assert_eq!(state(&binding).number, 1);
    assert_eq!(wanted(&binding).names.login, first.spare);
    assert_eq!(wait(&binding, at(3_600)), Some(600));
    assert_eq!(look(&mut binding, at(4_199)), Stage::Overlap);
    assert_eq!(look(&mut binding, at(4_200)), Stage::Outgoing);
    assert_eq!(state(&binding).outgoing, None);
    assert_eq!(look(&mut binding, at(7_199)), Stage::Rest);
    assert_eq!(look(&mut binding, at(7_200)), Stage::Incoming);
    assert_eq!(
        wanted(&binding).names.login,
        first.login,
        "its turn comes again"
    );
    assert_ne!(wanted(&binding).names.secret, first.secret);
}

#[test]
fn lost_credentials_are_replaced_at_once_whatever_the_stage() {
    // Nobody ever asked for a rotation; within an overlap; with a request that waits.
    for overlap in [false, true] {
        let mut binding = binding(&Value::Null);
        if overlap {
            ask(&mut binding, "first");
            assert_eq!(look(&mut binding, at(10)), Stage::Incoming);
            assert_eq!(look(&mut binding, at(11)), Stage::Overlap);
        }
        let mut old = wanted(&binding);
        old.lost = true;
        let new = rotation(&binding, &old, at(20)).expect("one is due");
        let incoming = new.incoming.clone().expect("others");
        assert_ne!(
            incoming.secret, old.names.secret,
            "never the same name again"
        );
        assert_eq!(incoming.role, old.names.spare);
        assert_eq!(stage(Some(&new), at(20)), Stage::Incoming);
        // Cut off here, it goes on with the same ones.
        set(&mut binding, Some(new.clone()));
        assert_eq!(rotation(&binding, &old, at(21)), Some(new.clone()));
        let taken = taken_over(&binding, &new, &old, at(22));
        assert_eq!(taken.number, old.number + 1);
        assert_eq!(taken.outgoing.expect("the old role").role, old.names.login);
    }
}

#[test]
fn an_operator_that_was_away_for_long_rotates_once() {
    let mut binding = hourly();
    let late = 50 * 3_600;
    assert_eq!(look(&mut binding, at(late)), Stage::Incoming);
    assert_eq!(look(&mut binding, at(late + 600)), Stage::Outgoing);
    assert_eq!(look(&mut binding, at(late + 601)), Stage::Rest);
    assert_eq!(state(&binding).number, 1);
}

#[test]
fn a_look_that_finds_nothing_due_changes_nothing() {
    let mut binding = hourly();
    look(&mut binding, at(10));
    for now in [10, 11, 3_599] {
        let before = state(&binding).clone();
        look(&mut binding, at(now));
        assert_eq!(*state(&binding), before);
    }
    look(&mut binding, at(3_600));
    let before = state(&binding).clone();
    look(&mut binding, at(4_000));
    assert_eq!(*state(&binding), before, "nor within the overlap");
}

#[test]
fn each_new_value_of_the_annotation_asks_once() {
    let mut binding = binding(&Value::Null);
    ask(&mut binding, "leaked");
    assert_eq!(look(&mut binding, at(10)), Stage::Incoming);
    assert_eq!(state(&binding).next_at, None);
    let until = state(&binding)
        .outgoing
        .clone()
        .expect("the old ones")
        .until;
    assert_eq!(until, Time(at(3_610)), "the overlap that nobody named");
    ask(&mut binding, "again");
    assert_eq!(look(&mut binding, at(20)), Stage::Overlap, "it waits");
    assert_eq!(wait(&binding, at(20)), Some(3_590));
    assert_eq!(look(&mut binding, at(3_610)), Stage::Outgoing);
    assert_eq!(wait(&binding, at(3_610)), Some(0));
    assert_eq!(look(&mut binding, at(3_611)), Stage::Incoming);
    assert_eq!(look(&mut binding, at(9_000)), Stage::Outgoing);
    assert_eq!(look(&mut binding, at(9_001)), Stage::Rest);
    assert_eq!(wait(&binding, at(9_001)), None);
    binding.metadata.annotations = None;
    assert_eq!(look(&mut binding, at(9_002)), Stage::Rest);
    ask(&mut binding, &"long".repeat(1_000));
    assert_eq!(look(&mut binding, at(9_003)), Stage::Incoming);
    assert!(state(&binding).request.as_ref().expect("served").len() <= 63);
}

#[test]
fn credentials_that_are_about_to_be_made_are_not_replaced() {
    let mut binding = hourly();
    binding.status = None;
    ask(&mut binding, "from the manifest");
    assert_eq!(look(&mut binding, at(10)), Stage::Rest);
    binding.status.as_mut().expect("a status").binding = Some(crds::BindingRef {
        name: "auth-db".into(),
    });
    assert_eq!(look(&mut binding, at(11)), Stage::Rest);
    assert_eq!(state(&binding).number, 0);
}

#[test]
fn a_shorter_overlap_ends_it_early_and_no_rotation_any_more_leaves_it_alone() {
    let mut binding = hourly();
    look(&mut binding, at(3_600));
    binding.spec.rotation = None;
    assert_eq!(look(&mut binding, at(4_199)), Stage::Overlap);
    assert_eq!(state(&binding).next_at, None);
    binding.spec.rotation = hourly().spec.rotation;
    if let Some(rotation) = &mut binding.spec.rotation {
        rotation.overlap = "10s".into();
    }
    assert_eq!(look(&mut binding, at(3_610)), Stage::Outgoing);
}

#[test]
fn what_was_begun_is_finished_whatever_the_spec_says_now() {
    let mut binding = hourly();
    let new = rotation(&binding, &wanted(&binding), at(3_600));
    set(&mut binding, new);
    let names = state(&binding).incoming.clone().expect("begun");
    binding.spec.rotation = None;
    assert_eq!(look(&mut binding, at(3_700)), Stage::Incoming);
    let used = wanted(&binding).names;
    assert_eq!((used.login, used.secret), (names.role, names.secret));
}

#[test]
fn every_secret_that_may_be_left_is_known() {
    let mut binding = hourly();
    // That of before, and the first one of now, which no status names until it works.
    let first = crate::names::credentials_secret("auth", "u1", 0);
    let known = BTreeSet::from(["auth-db".to_owned(), first.clone()]);
    assert_eq!(secrets(&binding), known);
    let new = rotation(&binding, &wanted(&binding), at(3_600));
    set(&mut binding, new);
    let next = wanted(&binding).next().names.secret;
    let all = BTreeSet::from(["auth-db".to_owned(), first, next.clone()]);
    assert_eq!(secrets(&binding), all);
    look(&mut binding, at(3_600));
    assert_eq!(secrets(&binding), all);
    look(&mut binding, at(5_000));
    assert_eq!(look(&mut binding, at(7_200)), Stage::Incoming);
    assert_eq!(
        secrets(&binding).len(),
        4,
        "the first names are always looked at"
    );
    assert!(secrets(&binding).contains(&next));
}

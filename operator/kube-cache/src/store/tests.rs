use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::core::ObjectMeta;

use super::*;

fn object(name: &str, version: &str, owner: Option<&str>) -> Full<ConfigMap> {
    let owner_references = owner.map(|uid| {
        vec![OwnerReference {
            uid: uid.into(),
            controller: Some(true),
            ..Default::default()
        }]
    });
    let metadata = ObjectMeta {
        namespace: Some("shops".into()),
        name: Some(name.into()),
        resource_version: Some(version.into()),
        owner_references,
        ..Default::default()
    };
    Full(Arc::new(ConfigMap {
        metadata,
        ..Default::default()
    }))
}

fn list(store: &Store<Full<ConfigMap>>, objects: &[Full<ConfigMap>]) -> Vec<String> {
    let mut changes = store.take(&Scope::All, Event::Init);
    for object in objects {
        changes.extend(store.take(&Scope::All, Event::InitApply(Ok(object.clone()))));
    }
    changes.extend(store.take(&Scope::All, Event::InitDone));
    changes.iter().map(spell).collect()
}

fn spell(change: &Change<Full<ConfigMap>>) -> String {
    match change {
        Change::Set { old, new, .. } => {
            format!(
                "{}{}",
                if old.is_some() { "~" } else { "+" },
                new.key().name
            )
        }
        Change::Gone(old) => format!("-{}", old.key().name),
        Change::Undecodable(key) => format!("?{}", key.name),
    }
}

#[test]
fn a_relist_reports_what_vanished_and_only_what_changed() {
    let store = Store::default();
    assert_eq!(
        list(&store, &[object("a", "1", None), object("b", "1", None)]),
        ["+a", "+b"]
    );
    assert_eq!(
        list(&store, &[object("a", "1", None), object("c", "2", None)]),
        ["+c", "-b"]
    );
    assert!(store.is_synced(&Scope::All));
}

#[test]
fn children_are_found_by_owner_until_they_are_gone() {
    let store = Store::default();
    store.take(&Scope::All, Event::Apply(Ok(object("a", "1", Some("u")))));
    assert_eq!(store.owned_by("u"), [Key::new("shops", "a")]);
    store.take(&Scope::All, Event::Apply(Ok(object("a", "2", Some("v")))));
    assert!(store.owned_by("u").is_empty());
    store.take(&Scope::All, Event::Delete(Ok(object("a", "2", Some("v")))));
    assert!(store.owned_by("v").is_empty() && store.is_empty());
}

#[test]
fn an_undecodable_object_is_named_and_heals() {
    let store: Store<Full<ConfigMap>> = Store::default();
    let invalid = InvalidObject {
        error: "missing field".into(),
        metadata: object("a", "1", None).0.metadata.clone(),
    };
    let changes = store.take(&Scope::All, Event::Apply(Err(Arc::new(invalid))));
    assert_eq!(changes.iter().map(spell).collect::<Vec<_>>(), ["?a"]);
    assert!(store.undecodable(&Key::new("shops", "a")).is_some());
    let changes = store.take(&Scope::All, Event::Apply(Ok(object("a", "2", None))));
    assert_eq!(changes.iter().map(spell).collect::<Vec<_>>(), ["+a"]);
    assert!(store.undecodable(&Key::new("shops", "a")).is_none());
}

fn names(changes: &[Change<Full<ConfigMap>>]) -> Vec<String> {
    changes.iter().map(spell).collect()
}

#[test]
fn an_event_from_before_our_own_last_write_is_ignored() {
    let store = Store::default();
    store.take(&Scope::All, Event::Apply(Ok(object("a", "5", None))));
    let change = store.record(object("a", "9", Some("u")));
    assert!(matches!(
        change,
        Some(Change::Set {
            source: Source::Write,
            ..
        })
    ));
    // Sent before our write, received after it.
    let late = store.take(&Scope::All, Event::Apply(Ok(object("a", "7", None))));
    assert!(late.is_empty());
    let key = Key::new("shops", "a");
    let version = |key: &Key| store.get(key).and_then(|a| a.version().map(str::to_owned));
    assert_eq!(version(&key).as_deref(), Some("9"));
    // The echo of our write is no change; what comes after it is.
    let echo = store.take(&Scope::All, Event::Apply(Ok(object("a", "9", Some("u")))));
    assert!(echo.is_empty());
    let next = store.take(&Scope::All, Event::Apply(Ok(object("a", "12", None))));
    assert_eq!(names(&next), ["~a"]);
}

#[test]
fn the_late_end_of_a_predecessor_does_not_remove_what_was_made_after_it() {
    let store = Store::default();
    store.take(&Scope::All, Event::Apply(Ok(object("a", "5", None))));
    // Deleted with version 6, made anew by us with version 8.
    store.record(object("a", "8", None));
    let late = store.take(&Scope::All, Event::Delete(Ok(object("a", "6", None))));
    assert!(late.is_empty());
    assert!(store.get(&Key::new("shops", "a")).is_some());
    let own = store.take(&Scope::All, Event::Delete(Ok(object("a", "9", None))));
    assert_eq!(names(&own), ["-a"]);
}

#[test]
fn an_answer_that_the_watch_has_overtaken_is_dropped() {
    let store = Store::default();
    store.take(&Scope::All, Event::Apply(Ok(object("a", "9", None))));
    assert!(store.record(object("a", "8", None)).is_none());
    // Nothing waits for an echo that has already come.
    let next = store.take(&Scope::All, Event::Apply(Ok(object("a", "10", None))));
    assert_eq!(names(&next), ["~a"]);
}

#[test]
fn an_answer_that_comes_after_the_deletion_does_not_bring_the_object_back() {
    let store = Store::default();
    store.take(&Scope::All, Event::Apply(Ok(object("a", "5", Some("u")))));
    store.take(&Scope::All, Event::Delete(Ok(object("a", "9", Some("u")))));
    // Written as version 7, while the watch was already bringing the deletion.
    assert!(store.record(object("a", "7", Some("u"))).is_none());
    assert!(store.get(&Key::new("shops", "a")).is_none());
    assert!(store.owned_by("u").is_empty());
    // One of the same name that is made after that is held.
    assert!(store.record(object("a", "11", Some("u"))).is_some());
    assert!(store.get(&Key::new("shops", "a")).is_some());
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_comes_after_a_repeated_list_without_the_object_is_left_to_the_watch() {
    let store = Store::default();
    assert_eq!(list(&store, &[object("a", "5", None)]), ["+a"]);
    assert_eq!(list(&store, &[]), ["-a"]);
    // Written as version 7 and deleted as version 8, both before the list.
    assert!(store.record(object("a", "7", None)).is_none());
    assert!(store.get(&Key::new("shops", "a")).is_none());
    // No answer takes that long.
    tokio::time::advance(LATE).await;
    assert!(store.record(object("a", "11", None)).is_some());
}

#[test]
fn a_list_without_an_object_that_we_wrote_removes_it_and_the_watch_brings_it_back() {
    let store = Store::default();
    store.record(object("a", "8", None));
    assert_eq!(list(&store, &[]), ["-a"]);
    let echo = store.take(&Scope::All, Event::Apply(Ok(object("a", "8", None))));
    assert_eq!(names(&echo), ["+a"]);
}

fn invalid(name: &str, version: &str) -> Decoded<Full<ConfigMap>> {
    Err(Arc::new(InvalidObject {
        error: "missing field".into(),
        metadata: object(name, version, None).0.metadata.clone(),
    }))
}

#[test]
fn a_store_that_keeps_the_last_good_copy_drops_it_only_when_the_object_is_gone() {
    let store = Store::keeping_last_good();
    let key = Key::new("shops", "a");
    store.take(&Scope::All, Event::Apply(Ok(object("a", "1", None))));
    let changes = store.take(&Scope::All, Event::Apply(invalid("a", "2")));
    assert_eq!(names(&changes), ["?a"]);
    assert!(store.get(&key).is_some() && store.undecodable(&key).is_some());
    // Also when a list brings it.
    store.take(&Scope::All, Event::Init);
    store.take(&Scope::All, Event::InitApply(invalid("a", "2")));
    store.take(&Scope::All, Event::InitDone);
    assert!(store.get(&key).is_some());
    let changes = store.take(&Scope::All, Event::Delete(invalid("a", "3")));
    assert_eq!(names(&changes), ["-a"]);
    assert!(store.get(&key).is_none() && store.undecodable(&key).is_none());
}

#[test]
fn the_watch_of_one_object_says_nothing_about_others() {
    let store = Store::default();
    let (a, b) = (Key::new("shops", "a"), Key::new("shops", "b"));
    for key in [&a, &b] {
        let scope = Scope::Object(key.clone());
        store.take(&scope, Event::Init);
        store.take(&scope, Event::InitApply(Ok(object(&key.name, "1", None))));
        store.take(&scope, Event::InitDone);
    }
    assert!(store.covers(&a) && !store.covers(&Key::new("shops", "c")));
    store.forget(&Scope::Object(a.clone()));
    assert!(store.get(&a).is_none() && !store.covers(&a));
    assert!(store.get(&b).is_some() && store.covers(&b));
}

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
    let mut changes = store.take("", Event::Init);
    for object in objects {
        changes.extend(store.take("", Event::InitApply(Ok(object.clone()))));
    }
    changes.extend(store.take("", Event::InitDone));
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
    assert!(store.is_synced(""));
}

#[test]
fn children_are_found_by_owner_until_they_are_gone() {
    let store = Store::default();
    store.take("", Event::Apply(Ok(object("a", "1", Some("u")))));
    assert_eq!(store.owned_by("u"), [Key::new("shops", "a")]);
    store.take("", Event::Apply(Ok(object("a", "2", Some("v")))));
    assert!(store.owned_by("u").is_empty());
    store.take("", Event::Delete(Ok(object("a", "2", Some("v")))));
    assert!(store.owned_by("v").is_empty() && store.is_empty());
}

#[test]
fn an_undecodable_object_is_named_and_heals() {
    let store: Store<Full<ConfigMap>> = Store::default();
    let invalid = InvalidObject {
        error: "missing field".into(),
        metadata: object("a", "1", None).0.metadata.clone(),
    };
    let changes = store.take("", Event::Apply(Err(Arc::new(invalid))));
    assert_eq!(changes.iter().map(spell).collect::<Vec<_>>(), ["?a"]);
    assert!(store.undecodable(&Key::new("shops", "a")).is_some());
    let changes = store.take("", Event::Apply(Ok(object("a", "2", None))));
    assert_eq!(changes.iter().map(spell).collect::<Vec<_>>(), ["+a"]);
    assert!(store.undecodable(&Key::new("shops", "a")).is_none());
}

use kube::core::ApiResource;
use serde_json::json;

use super::*;

fn planned(owner_uid: Option<&str>) -> Planned {
    let owners = owner_uid.map(
        |uid| json!([{ "kind": "Storefront", "name": "demo", "uid": uid, "controller": true }]),
    );
    let resource = ApiResource {
        group: String::new(),
        version: "v1".into(),
        api_version: "v1".into(),
        kind: "Secret".into(),
        plural: "secrets".into(),
    };
    let key = ObjectKey {
        group: String::new(),
        kind: "Secret".into(),
        namespace: "shops".into(),
        name: "demo".into(),
    };
    let body = json!({ "metadata": { "name": "demo", "ownerReferences": owners } });
    Planned {
        resource,
        key,
        mode: Mode::Apply,
        body,
    }
}

fn live(owner: Option<(&str, &str)>, managed: bool) -> Value {
    let owners = owner.map(|(name, uid)| {
        json!([{ "kind": "Storefront", "name": name, "uid": uid, "controller": true }])
    });
    let labels = managed.then(|| json!({ "app.kubernetes.io/managed-by": MANAGER }));
    json!({ "metadata": { "name": "demo", "ownerReferences": owners, "labels": labels } })
}

#[test]
fn our_own_and_our_orphaned_objects_are_taken() {
    assert!(check_owner(&planned(Some("u")), &live(Some(("demo", "u")), true)).is_ok());
    assert!(check_owner(&planned(Some("u")), &live(None, true)).is_ok());
    assert!(check_owner(&planned(None), &live(None, true)).is_ok());
}

#[test]
fn what_belongs_to_somebody_else_is_not_touched() {
    let other = check_owner(&planned(Some("u")), &live(Some(("other", "v")), true));
    assert!(matches!(other, Err(Error::Foreign { .. })));
    let nobody = check_owner(&planned(Some("u")), &live(None, false));
    assert!(matches!(nobody, Err(Error::Foreign { .. })));
}

#[test]
fn the_child_of_a_deleted_namesake_is_waited_out() {
    let old = check_owner(&planned(Some("new")), &live(Some(("demo", "old")), true));
    assert!(matches!(old, Err(Error::Stale { .. })));
}

//! Whose an object is.

use operator_plan::Planned;
use operator_plan::objects::{MANAGER, OWNER_UID_LABEL, STOREFRONT_LABEL};
use serde_json::Value;

use crate::error::Error;
use crate::reader::text;

/// Refuses an object that belongs to somebody else.
pub fn check_owner(planned: &Planned, live: &Value) -> Result<(), Error> {
    let what = text(&planned.key);
    let Some(theirs) = controller(live) else {
        if label(live, "app.kubernetes.io/managed-by") == Some(MANAGER) {
            return Ok(());
        }
        return Err(Error::Foreign {
            what,
            owner: "nobody that this operator knows".into(),
        });
    };
    // What outlives its owner is planned without a reference to it, but with its uid as a label.
    let ours = controller(&planned.body);
    let uid = ours.map_or_else(
        || label(&planned.body, OWNER_UID_LABEL),
        |it| it["uid"].as_str(),
    );
    if uid.is_some() && theirs["uid"].as_str() == uid {
        return Ok(());
    }
    let shop = label(&planned.body, STOREFRONT_LABEL);
    let is_namesake = match ours {
        Some(ours) => ours["kind"] == theirs["kind"] && ours["name"] == theirs["name"],
        None => theirs["kind"] == "Storefront" && theirs["name"].as_str() == shop,
    };
    if is_namesake {
        // A child of our deleted namesake: the garbage collector is about to take it.
        return Err(Error::Stale { what });
    }
    let field = |field: &str| theirs[field].as_str().unwrap_or_default().to_owned();
    Err(Error::Foreign {
        what,
        owner: format!("{} {}", field("kind"), field("name")),
    })
}

fn controller(object: &Value) -> Option<&Value> {
    let references = object["metadata"]["ownerReferences"].as_array()?;
    references
        .iter()
        .find(|reference| reference["controller"] == Value::Bool(true))
}

fn label<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object["metadata"]["labels"][name].as_str()
}

#[cfg(test)]
mod tests {
    use kube::core::ApiResource;
    use operator_plan::{Mode, ObjectKey};
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
}

//! What the Storefront decides of a shop's own binding. Many may write that object, so what stands in it counts only where
//! the shop says the same: until it is put right, and for what is no field of its spec.

use std::sync::Arc;

use crds::{DatabaseBinding, DeletionPolicy, Storefront};
use service_catalogue::Service;

use super::{ABANDON, FINALIZER, validate::Observed};
use crate::leaving;
use crate::storefront::{own::own_binding, set_terms};

/// The binding as it is acted on: one of a shop's own with the grants, extensions, rotation and dumps that its Storefront
/// asks for.
pub fn effective(binding: Arc<DatabaseBinding>, seen: &Observed) -> Arc<DatabaseBinding> {
    let Some((shop, service)) = own(&binding, seen) else {
        return binding;
    };
    let mut spec = binding.spec.clone();
    set_terms(&shop.spec, service, &mut spec);
    if spec == binding.spec {
        return binding;
    }
    Arc::new(DatabaseBinding {
        spec,
        ..DatabaseBinding::clone(&binding)
    })
}

/// What becomes of the data when a binding ends. The spec says so, but that of a shop's own binding follows
/// the shop as soon as that is being deleted too, whichever of the two was deleted first. While the shop
/// exists it is retained whatever its spec says, which many may write.
pub fn end_policy(binding: &DatabaseBinding, seen: &Observed) -> DeletionPolicy {
    let own = own(binding, seen).map(|(shop, _)| shop);
    let is_leaving = |shop: &&Storefront| shop.metadata.deletion_timestamp.is_some();
    match (own.or(seen.owner.as_deref()).filter(is_leaving), own) {
        (Some(leaving), _) => leaving.spec.deletion_policy,
        (None, Some(_)) => DeletionPolicy::Retain,
        (None, None) => binding.spec.reclaim_policy,
    }
}

/// What is said of a shop's own binding that is being deleted and goes on as before, because somebody else's finalizer
/// keeps it; `None`: it is none, or its end has begun.
pub fn held_by_others(binding: &DatabaseBinding, seen: &Observed) -> Option<String> {
    let (shop, _) = own(binding, seen)?;
    leaving::held_by_others(shop, &binding.metadata, Some(FINALIZER))
}

/// Whether somebody who may do so asked to let a binding go that cannot be ended as its policy says: of a shop's own
/// binding on the Storefront, while there is one.
pub fn is_abandoned(binding: &DatabaseBinding, seen: &Observed) -> bool {
    let meta = match own(binding, seen) {
        Some((shop, _)) => &shop.metadata,
        None => &binding.metadata,
    };
    let annotations = meta.annotations.as_ref();
    let asks = annotations.and_then(|annotations| annotations.get(ABANDON));
    asks.is_some_and(|asks| asks == "true")
}

/// How to ask for that.
pub fn how_to_abandon(binding: &DatabaseBinding, seen: &Observed) -> String {
    let what = match own(binding, seen) {
        Some((shop, _)) => {
            let name = shop.metadata.name.as_deref().unwrap_or_default();
            format!("Storefront {name}")
        }
        None => "the object".to_owned(),
    };
    format!("annotate {what} with {ABANDON}=true")
}

/// The shop whose own binding this is, and its service.
fn own<'a>(binding: &DatabaseBinding, seen: &'a Observed) -> Option<(&'a Storefront, Service)> {
    let name = binding.metadata.name.as_deref().unwrap_or_default();
    let known = seen.shops.iter();
    let mut shops = known.chain(&seen.storefront).chain(&seen.owner);
    shops.find_map(|shop| Some((&**shop, own_binding(shop, name)?)))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use serde_json::{Value, json};

    use super::*;

    fn shop(annotations: &Value) -> Arc<Storefront> {
        let shop = json!({ "apiVersion": "storefront.dev/v1alpha1", "kind": "Storefront",
            "metadata": { "name": "demo", "annotations": annotations },
            "spec": { "hostnames": ["demo.example"],
                "database": { "embedded": {}, "rotation": { "every": "720h", "overlap": "2h" },
                    "backup": { "storage": "1Gi" } },
                "services": { "order": { "grants": [{ "binding": "reports" }] } },
                "notifications": { "email": { "smtp": { "host": "mail", "from": "a@b.c" } } } } });
        Arc::new(serde_json::from_value(shop).expect("a shop"))
    }

    fn binding(name: &str, annotations: &Value) -> Arc<DatabaseBinding> {
        let binding = json!({ "apiVersion": "storefront.dev/v1alpha1", "kind": "DatabaseBinding",
            "metadata": { "name": name, "namespace": "shops", "annotations": annotations },
            "spec": { "serverRef": { "storefront": "demo" }, "extensions": ["citext"],
                "rotation": { "every": "10m", "overlap": "10s" },
                "grants": [{ "binding": "mine", "access": "ReadWrite" }],
                "backup": { "storage": "1Ti" } } });
        Arc::new(serde_json::from_value(binding).expect("a binding"))
    }

    #[test]
    fn what_is_written_into_a_shops_own_binding_does_not_count() {
        let seen = Observed {
            shops: vec![shop(&json!({}))],
            ..Observed::default()
        };
        let acted_on = effective(binding("demo-order", &json!({})), &seen);
        let spec = serde_json::to_value(&acted_on.spec).expect("JSON");
        assert_eq!(
            spec["rotation"],
            json!({ "every": "720h", "overlap": "2h" })
        );
        assert_eq!(
            spec["grants"],
            json!([{ "binding": "reports", "access": "ReadOnly" }])
        );
        assert_eq!(spec["backup"]["storage"], "1Gi");
        assert_eq!(spec["extensions"], Value::Null);
        for theirs in ["reviews", "demo-reviews", "demo-web"] {
            let written = binding(theirs, &json!({}));
            assert_eq!(effective(written.clone(), &seen), written, "{theirs}");
        }
    }

    #[test]
    fn a_shops_own_binding_is_given_up_by_the_storefront_alone() {
        let yes = json!({ "storefront.dev/abandon": "true" });
        let is_abandoned = |name: &str, own: &Value, shops: Vec<Arc<Storefront>>| {
            let seen = Observed {
                shops,
                ..Observed::default()
            };
            let binding = binding(name, own);
            (
                is_abandoned(&binding, &seen),
                how_to_abandon(&binding, &seen),
            )
        };
        let (asked, how) = is_abandoned("demo-order", &yes, vec![shop(&json!({}))]);
        assert!(!asked);
        assert_eq!(
            how,
            "annotate Storefront demo with storefront.dev/abandon=true"
        );
        assert!(is_abandoned("demo-order", &json!({}), vec![shop(&yes)]).0);
        // Of a team's binding the shop says nothing, and of one whose shop is gone nobody else can.
        let (asked, how) = is_abandoned("reviews", &yes, vec![shop(&json!({}))]);
        assert!(asked);
        assert_eq!(how, "annotate the object with storefront.dev/abandon=true");
        assert!(!is_abandoned("reviews", &json!({}), vec![shop(&yes)]).0);
        assert!(is_abandoned("demo-order", &yes, vec![]).0);
    }

    #[test]
    fn only_the_shops_own_end_gives_up_the_data_of_its_bindings() {
        let stays = shop(&json!({}));
        let mut leaves = Storefront::clone(&stays);
        leaves.spec.deletion_policy = DeletionPolicy::BackupThenDelete;
        leaves.metadata.deletion_timestamp = Some(Time(jiff::Timestamp::UNIX_EPOCH));
        let leaves = Arc::new(leaves);
        let policy = |name: &str, seen: Observed| {
            let mut binding = DatabaseBinding::clone(&binding(name, &json!({})));
            binding.spec.reclaim_policy = DeletionPolicy::Delete;
            end_policy(&binding, &seen)
        };
        let listed = |shop: &Arc<Storefront>| Observed {
            shops: vec![shop.clone()],
            ..Observed::default()
        };
        let named = |shop: &Arc<Storefront>| Observed {
            storefront: Some(shop.clone()),
            ..Observed::default()
        };
        for seen in [listed, named] {
            assert_eq!(policy("demo-order", seen(&stays)), DeletionPolicy::Retain);
            assert_eq!(
                policy("demo-order", seen(&leaves)),
                DeletionPolicy::BackupThenDelete
            );
            for theirs in ["reviews", "demo-reviews", "demo-web"] {
                for shop in [&stays, &leaves] {
                    let ends = policy(theirs, seen(shop));
                    assert_eq!(ends, DeletionPolicy::Delete, "{theirs}");
                }
            }
        }
    }
}

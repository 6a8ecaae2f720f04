//! How a shop ends, and what it leaves.

use crds::{DatabaseBinding, Storefront};
use operator_plan::{
    storefront,
    storefront::{Live, teardown},
};

use crate::fixtures::{children, shop, stored, valid_shop};

#[test]
fn a_shop_is_taken_down_services_first_then_databases_then_the_rest() {
    let shop = shop("storefront.yaml");
    let valid = valid_shop(&shop);
    let mut live = Live {
        services: children(&shop),
        bindings: bindings(&shop),
    };

    let first = teardown(&valid, &live);
    assert_eq!(first.delete.len(), 7);
    assert!(
        first
            .delete
            .iter()
            .all(|key| key.kind == "ServiceDeployment")
    );
    assert!(first.waiting_for.is_some());

    live.services.clear();
    for binding in &mut live.bindings {
        binding.spec.reclaim_policy = shop.spec.deletion_policy;
    }
    let second = teardown(&valid, &live);
    assert_eq!(second.delete.len(), 6);
    assert!(
        second
            .delete
            .iter()
            .all(|key| key.kind == "DatabaseBinding")
    );

    live.bindings.clear();
    let last = teardown(&valid, &live);
    assert_eq!((last.delete.len(), last.waiting_for), (0, None));
}

#[test]
fn volumes_are_given_up_last_and_only_where_they_are_not_retained() {
    use crds::DeletionPolicy::{BackupThenDelete, Delete, Retain};
    let mut shop = shop("storefront.yaml");
    for (policy, expected) in [
        (Delete, &["data-demo-postgres-0", "data-demo-nats-0"][..]),
        (
            BackupThenDelete,
            &["data-demo-postgres-0", "data-demo-nats-0"],
        ),
        (Retain, &[]),
    ] {
        shop.spec.deletion_policy = policy;
        let valid = valid_shop(&shop);
        let (services, bindings) = (children(&shop), bindings(&shop));
        let volumes = |services: &[_], bindings: &[_]| {
            let live = Live {
                services: services.to_vec(),
                bindings: bindings.to_vec(),
            };
            teardown(&valid, &live).volumes
        };
        assert!(volumes(&services, &bindings).is_empty());
        assert!(volumes(&[], &bindings).is_empty(), "dumps come first");
        let last = volumes(&[], &[]);
        let names: Vec<&str> = last
            .iter()
            .filter_map(|claim| claim.metadata.name.as_deref())
            .collect();
        assert_eq!(names, expected, "{policy:?}");
        for claim in last {
            let owners = claim.metadata.owner_references.expect("an owner");
            assert_eq!(owners[0].kind, "Storefront");
            assert_eq!(owners[0].controller, None);
        }
    }
}

#[test]
fn nothing_of_a_shop_that_exists_takes_data_along_when_it_is_deleted() {
    use crds::DeletionPolicy::{BackupThenDelete, Delete, Retain};
    let mut shop = shop("storefront.yaml");
    for policy in [Delete, BackupThenDelete, Retain] {
        shop.spec.deletion_policy = policy;
        for item in storefront::desired(&valid_shop(&shop)).items {
            let spec = &item.body["spec"];
            if item.key.kind == "DatabaseBinding" {
                assert_eq!(spec["reclaimPolicy"], "Retain", "{}", item.key.name);
            }
            if item.key.kind == "StatefulSet" {
                let kept = &spec["persistentVolumeClaimRetentionPolicy"];
                assert_eq!(kept["whenDeleted"], "Retain", "{}", item.key.name);
                assert_eq!(kept["whenScaled"], "Retain", "{}", item.key.name);
            }
        }
    }
}

#[test]
fn a_database_learns_the_deletion_policy_before_it_is_deleted() {
    let shop = shop("storefront.yaml");
    let valid = valid_shop(&shop);
    let mut bindings = bindings(&shop);
    assert_eq!(
        bindings[0].spec.reclaim_policy,
        crds::DeletionPolicy::Retain
    );
    for binding in &mut bindings[1..] {
        binding.spec.reclaim_policy = crds::DeletionPolicy::Delete;
    }
    let step = teardown(
        &valid,
        &Live {
            services: Vec::new(),
            bindings,
        },
    );
    assert!(step.delete.is_empty());
    let told: Vec<_> = step
        .apply
        .items
        .iter()
        .filter(|i| i.key.kind == "DatabaseBinding")
        .collect();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].body["spec"]["reclaimPolicy"], "Delete");
    assert!(
        told[0].body["metadata"]["resourceVersion"].is_string(),
        "an apply must not bring it back to life"
    );
}

#[test]
fn what_is_retained_has_no_owner_that_would_take_it_along() {
    let mut shop = shop("storefront.yaml");
    let owned = |shop: &Storefront, name: &str| {
        let objects = storefront::desired(&valid_shop(shop));
        let item = objects.items.into_iter().find(|i| {
            i.key.name == name && i.key.kind != "Service" && i.key.kind != "NetworkPolicy"
        });
        item.expect("planned").body
    };
    assert!(owned(&shop, "demo-postgres-admin")["metadata"]["ownerReferences"].is_array());
    shop.spec.deletion_policy = crds::DeletionPolicy::Retain;
    assert!(owned(&shop, "demo-postgres-admin")["metadata"]["ownerReferences"].is_null());
}

fn bindings(shop: &Storefront) -> Vec<DatabaseBinding> {
    storefront::desired(&valid_shop(shop))
        .items
        .into_iter()
        .filter(|item| item.key.kind == "DatabaseBinding")
        .map(|item| {
            let mut binding: DatabaseBinding = serde_json::from_value(item.body).expect("one");
            stored(&mut binding);
            binding.metadata.resource_version = Some("7".into());
            binding
        })
        .collect()
}

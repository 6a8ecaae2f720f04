//! What is read before a shop is planned, and what is generated for it.

use std::collections::BTreeMap;

use crds::Storefront;
use jiff::{SignedDuration, Timestamp};
use operator_plan::{
    Mode,
    storefront::{self, Data, Fresh, MissingMaterial, missing_material, needs},
};

use crate::fixtures::{fresh, platform, seen, shop, shops};

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

/// The Secrets that the shop has after its first plan was applied.
fn own(shop: &Storefront) -> BTreeMap<String, Data> {
    let mut world = seen(shop);
    world.now = NOW;
    world.fresh = fresh(shop, &BTreeMap::new(), NOW);
    let valid = storefront::validate(shop, world, &platform()).ready();
    let planned = storefront::desired(&valid.expect("valid"))
        .items
        .into_iter();
    let secrets = planned
        .filter(|item| item.key.kind == "Secret")
        .map(|item| {
            let secret: k8s_openapi::api::core::v1::Secret =
                serde_json::from_value(item.body).expect("a Secret");
            let data = secret.data.unwrap_or_default().into_iter();
            (
                item.key.name,
                data.map(|(key, value)| (key, value.0)).collect(),
            )
        });
    let read = needs(shop).own;
    secrets.filter(|(name, _)| read.contains(name)).collect()
}

#[test]
fn a_new_shop_lacks_one_value_for_each_secret_and_a_signing_key() {
    let missing = missing_material(&shop("storefront.yaml"), &BTreeMap::new(), NOW);
    let names: Vec<&str> = missing.passwords.iter().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "demo-admin",
            "demo-internal",
            "demo-nats-logins",
            "demo-postgres-admin",
            "demo-redis-logins"
        ]
    );
    assert!(missing.signing_key);
}

#[test]
fn a_shop_that_has_its_secrets_lacks_nothing() {
    for file in shops() {
        let shop = shop(&file);
        let own = own(&shop);
        let missing = missing_material(&shop, &own, NOW);
        assert_eq!(missing, MissingMaterial::default(), "{file}");
    }
}

#[test]
fn an_external_server_needs_no_generated_password() {
    let full = missing_material(&shop("storefront-full.yaml"), &BTreeMap::new(), NOW);
    assert!(!full.passwords.contains("acme-postgres-admin"));
    assert!(full.passwords.contains("acme-nats-routes"), "three servers");
    let cache = shop("storefront-external-cache.yaml");
    let missing = missing_material(&cache, &BTreeMap::new(), NOW);
    assert!(missing.passwords.iter().all(|name| !name.contains("redis")));
}

#[test]
fn an_empty_password_counts_as_missing() {
    let shop = shop("storefront.yaml");
    let mut own = own(&shop);
    let nats = own.get_mut("demo-nats-logins").expect("there");
    nats.insert("key".into(), Vec::new());
    own.remove("demo-recovery");
    let missing = missing_material(&shop, &own, NOW);
    assert_eq!(missing.passwords, ["demo-nats-logins".to_owned()].into());
}

#[test]
fn a_signing_key_is_needed_when_the_next_one_is_due_and_not_before() {
    let shop = shop("storefront.yaml");
    let own = own(&shop);
    for (days, needed) in [(0, false), (29, false), (30, true)] {
        let now = NOW + SignedDuration::from_hours(24 * days);
        assert_eq!(
            missing_material(&shop, &own, now).signing_key,
            needed,
            "{days}"
        );
    }
}

#[test]
fn without_the_material_no_secret_is_written_and_none_is_pruned() {
    for file in ["storefront.yaml", "storefront-full.yaml"] {
        let shop = shop(file);
        let mut world = seen(&shop);
        world.fresh = Fresh::default();
        let valid = storefront::validate(&shop, world, &platform()).ready();
        let planned = storefront::desired(&valid.expect("valid"));
        let with_material = own(&shop);
        for item in planned
            .items
            .iter()
            .filter(|item| item.key.kind == "Secret")
        {
            let is_generated = with_material.contains_key(&item.key.name);
            let is_config = item.key.name.ends_with("-config");
            assert_eq!(
                is_generated || is_config,
                item.mode == Mode::Keep,
                "{:?}",
                item.key
            );
        }
        for name in with_material.keys() {
            assert!(
                planned.items.iter().any(|item| item.key.name == *name),
                "{name}"
            );
        }
    }
}

//! Which Secrets of a shop may be deleted once no plan names them.

use k8s_openapi::api::{apps::v1::StatefulSet, core::v1::Secret};
use operator_plan::{
    objects::key_of,
    storefront::{desired, may_be_pruned},
};

use crate::fixtures::{shop, shops, valid_shop};

/// Every Secret that a shop may have, and whether it can be made again.
const SECRETS: [(&str, bool); 14] = [
    ("admin", false),
    ("signing-keys", false),
    ("internal", false),
    ("recovery", false),
    ("postgres-admin", false),
    ("nats-logins", false),
    ("nats-auth", true),
    ("nats-routes", false),
    ("redis-logins", false),
    ("redis-auth", true),
    ("nats-config", true),
    ("redis-config", true),
    ("smtp", true),
    ("tls", true),
];

#[test]
fn a_secret_is_pruned_only_if_it_can_be_made_again() {
    let shop = shop("storefront.yaml");
    for (part, expected) in SECRETS {
        let key = key_of::<Secret>("shops", &format!("demo-{part}"));
        assert_eq!(may_be_pruned(&shop, &key), expected, "{part}");
    }
}

#[test]
fn a_secret_that_the_shop_did_not_make_is_never_pruned() {
    let shop = shop("storefront.yaml");
    for (namespace, name) in [
        ("shops", "demo-order-db-1a2b3c"),
        ("shops", "demo-unknown"),
        ("shops", "other-smtp"),
        ("elsewhere", "demo-smtp"),
    ] {
        let key = key_of::<Secret>(namespace, name);
        assert!(!may_be_pruned(&shop, &key), "{namespace}/{name}");
    }
}

#[test]
fn a_server_of_another_kind_keeps_its_secret_and_loses_its_configuration() {
    let shop = shop("storefront-external-cache.yaml");
    let name = |part: &str| format!("{}-{part}", shop.metadata.name.as_deref().unwrap_or(""));
    let may = |part| may_be_pruned(&shop, &key_of::<Secret>("shops", &name(part)));
    assert!(may("redis-config"));
    assert!(!may("redis-logins"));
}

#[test]
fn a_certificate_that_an_issuer_may_have_written_is_not_pruned() {
    for (file, expected) in [
        ("storefront-issuer.yaml", false),
        ("storefront-self-signed.yaml", false),
        ("storefront.yaml", true),
    ] {
        let shop = shop(file);
        let name = format!("{}-tls", shop.metadata.name.as_deref().unwrap_or_default());
        let key = key_of::<Secret>("shops", &name);
        assert_eq!(may_be_pruned(&shop, &key), expected, "{file}");
    }
}

#[test]
fn whatever_else_is_no_longer_planned_may_be_pruned() {
    let shop = shop("storefront.yaml");
    assert!(may_be_pruned(
        &shop,
        &key_of::<StatefulSet>("shops", "demo-nats")
    ));
}

#[test]
fn every_secret_that_is_planned_has_been_decided_about() {
    for file in shops() {
        let shop = shop(&file);
        let prefix = format!("{}-", shop.metadata.name.as_deref().unwrap_or_default());
        for item in desired(&valid_shop(&shop)).items {
            if item.key.kind == "Secret" {
                let part = item.key.name.strip_prefix(&prefix).unwrap_or_default();
                let is_known = SECRETS.iter().any(|(known, _)| *known == part);
                assert!(is_known, "{file}: {part}");
            }
        }
    }
}

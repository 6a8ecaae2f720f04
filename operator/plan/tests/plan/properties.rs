//! What must hold for every object that the API server lets in.

use std::collections::{BTreeMap, BTreeSet};

use crds::{ServiceDeployment, Storefront};
use operator_plan::{
    Objects, Planned, Verdict, gateway, hash, names, service_deployment, storefront,
};
use proptest::prelude::*;
use serde_json::Value;

use crate::fixtures::{
    children, example, platform, seen, shop, shops, stored, valid_service, valid_shop,
};

fn is_label(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=63).contains(&name.len())
        && name.chars().all(inner)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

fn label_values_fit(body: &Value) -> bool {
    let maps = [
        &body["metadata"]["labels"],
        &body["spec"]["template"]["metadata"]["labels"],
    ];
    maps.iter()
        .filter_map(|map| map.as_object())
        .flatten()
        .all(|(_, value)| {
            value.as_str().is_some_and(|text| {
                text.len() <= 63
                    && !text.starts_with(['-', '.', '_'])
                    && !text.ends_with(['-', '.', '_'])
            })
        })
}

/// What the API server asks of every object, and a server-side apply of every plan.
pub fn check(objects: &Objects<Planned>) -> Result<(), TestCaseError> {
    let mut keys = BTreeSet::new();
    for item in &objects.items {
        prop_assert!(is_label(&item.key.name), "{:?}", item.key);
        prop_assert!(label_values_fit(&item.body), "{:?}", item.key);
        prop_assert!(
            keys.insert(item.key.clone()),
            "{:?} is planned twice",
            item.key
        );
        prop_assert!(item.body["status"].is_null(), "{:?} has a status", item.key);
        prop_assert!(!has_null(&item.body), "{:?} has a null", item.key);
    }
    Ok(())
}

/// A null in a server-side apply removes what is there, or is never equal to what is stored.
fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.iter().any(has_null),
        Value::Object(map) => map.values().any(has_null),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

prop_compose! {
    fn label(longest: usize)(
        first in "[a-z]",
        middle in proptest::collection::vec("[-a-z0-9]", 0..longest - 1),
        last in "[a-z0-9]",
    ) -> String {
        format!("{first}{}{last}", middle.concat().chars().take(longest - 2).collect::<String>())
    }
}

fn named_shop(name: &str) -> Storefront {
    let mut shop = shop("storefront-full.yaml");
    shop.metadata.name = Some(name.to_owned());
    shop
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_names_of_a_shop_and_all_below_it_are_labels(name in label(40)) {
        let shop = named_shop(&name);
        check(&storefront::desired(&valid_shop(&shop)))?;
        for service in children(&shop) {
            check(&service_deployment::desired(&valid_service(&service, &shop)))?;
        }
    }

    #[test]
    fn the_names_below_a_teams_service_are_labels(name in label(53)) {
        let mut service: ServiceDeployment = example("team-service.yaml").pop().expect("one");
        service.metadata.name = Some(name);
        check(&service_deployment::desired(&valid_service(&service, &shop("storefront.yaml"))))?;
    }

    #[test]
    fn the_names_below_a_gateway_are_labels(name in label(63)) {
        let planned = storefront::desired(&valid_shop(&shop("storefront.yaml")));
        let item = planned.items.into_iter().find(|item| item.key.kind == "Gateway").expect("one");
        let mut gateway: gateway_routes::api::Gateway = serde_json::from_value(item.body).expect("one");
        gateway.metadata.name = Some(name);
        stored(&mut gateway);
        check(&gateway::desired(&gateway::validate(&gateway, &gateway::Observed::default(), &platform()).ready().expect("valid")))?;
    }

    #[test]
    fn the_same_shop_is_planned_the_same_twice(name in label(40)) {
        let shop = named_shop(&name);
        let once = storefront::desired(&valid_shop(&shop));
        let twice = storefront::desired(&valid_shop(&shop.clone()));
        prop_assert_eq!(serde_json::to_string(&bodies(&once)).ok(), serde_json::to_string(&bodies(&twice)).ok());
    }

    #[test]
    fn a_made_name_is_a_label_and_tells_bases_apart(base in label(63), other in label(63), suffix in label(20)) {
        let name = names::child(&base, &suffix);
        prop_assert!(is_label(&name), "{}", name);
        prop_assert!(base == other || name != names::child(&other, &suffix));
    }

    #[test]
    fn a_hash_is_ten_digits_and_knows_where_a_part_ends(a in ".{0,40}", b in ".{1,40}") {
        let joined = format!("{a}{b}");
        let hash = hash::short([joined.as_bytes()]);
        prop_assert_eq!(hash.len(), 10);
        prop_assert_ne!(hash, hash::short([a.as_bytes(), b.as_bytes()]));
    }
}

fn bodies(objects: &Objects<Planned>) -> Vec<&Value> {
    objects.items.iter().map(|item| &item.body).collect()
}

#[test]
fn no_example_names_a_secret_that_its_shop_makes() {
    for file in shops() {
        let shop = shop(&file);
        let theirs = storefront::needs(&shop).referenced;
        let planned = storefront::desired(&valid_shop(&shop));
        let ours = planned
            .items
            .iter()
            .filter(|item| item.key.kind == "Secret");
        for secret in ours {
            assert!(
                !theirs.contains(&secret.key.name),
                "{file}: {}",
                secret.key.name
            );
        }
    }
}

#[test]
fn an_invalid_shop_is_refused_with_field_and_remedy() {
    let mut small = shop("storefront.yaml");
    small.spec.queue.nats.storage = "512Mi".into();
    let mut nameless = shop("storefront.yaml");
    nameless.spec.hostnames.clear();
    let mut foreign = shop("storefront.yaml");
    let full = shop("storefront-full.yaml").spec.gateway;
    foreign.spec.gateway.rate_limits = full.rate_limits;
    foreign.spec.gateway.class_name = "envoy".into();
    let mut ours = shop("storefront-full.yaml");
    let login = &mut ours.spec.notifications.email.smtp.secret_ref;
    *login = Some(crds::LocalRef::new("acme-smtp"));
    for (field, shop) in [
        ("spec.queue.nats.storage", small),
        ("spec.hostnames", nameless),
        ("spec.gateway.rateLimits", foreign),
        ("spec: the Secret acme-smtp", ours),
    ] {
        let Verdict::Invalid(why) = storefront::validate(&shop, seen(&shop), &platform()) else {
            panic!("{field} is taken");
        };
        assert!(why.message.starts_with(field), "{}", why.message);
    }
}

#[test]
fn a_missing_secret_is_waited_for_by_name() {
    for file in shops() {
        let shop = shop(&file);
        for name in storefront::needs(&shop).referenced {
            let mut world = seen(&shop);
            world.referenced.remove(&name);
            let valid = storefront::validate(&shop, world, &platform());
            let valid = valid.ready().expect("the rest can be made");
            let [missing] = valid.missing() else {
                panic!("{name} is not missed");
            };
            assert_eq!(missing.on.reason, "SecretMissing");
            assert!(missing.on.message.contains(&name), "{}", missing.on.message);
            let mut world = seen(&shop);
            world.referenced.insert(name.clone(), BTreeMap::new());
            let valid = storefront::validate(&shop, world, &platform());
            let valid = valid.ready().expect("the rest can be made");
            assert_eq!(valid.missing()[0].on.reason, "SecretIncomplete");
        }
    }
}

#[test]
fn an_address_of_a_cache_that_no_service_could_read_is_waited_for_and_not_repeated() {
    let shop = shop("storefront-external-cache.yaml");
    let mut world = seen(&shop);
    let secret = world.referenced.get_mut("acme-elasticache").expect("there");
    secret.insert("uri".into(), b"https://:secret@cache.example".to_vec());
    let valid = storefront::validate(&shop, world, &platform());
    let valid = valid.ready().expect("the rest can be made");
    let [missing] = valid.missing() else {
        panic!("it is taken");
    };
    let on = &missing.on;
    assert_eq!(on.reason, "SecretUnreadable");
    assert!(
        on.message
            .starts_with("spec.cache.external.secretRef: the uri")
    );
    assert!(!on.message.contains(":secret@"), "{}", on.message);
}

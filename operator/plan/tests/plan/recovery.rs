//! Secrets of a shop that are lost or edited, and what follows.

use std::collections::BTreeMap;

use crds::Storefront;
use k8s_openapi::api::core::v1::Secret;
use operator_plan::{
    Objects, Planned,
    storefront::{Data, Observed, SigningKey, desired, missing_material, needs, validate},
};
use serde_json::{Value, json};

use crate::fixtures::{applied, platform, seen, shop, valid_shop};

/// The content of the planned Secrets that a shop reads.
fn own(shop: &Storefront, objects: &Objects<Planned>) -> BTreeMap<String, Data> {
    let read = needs(shop).own;
    let secrets = objects
        .items
        .iter()
        .filter(|item| item.key.kind == "Secret");
    secrets
        .filter(|item| read.contains(&item.key.name))
        .map(|item| (item.key.name.clone(), data(&item.body)))
        .collect()
}

fn data(secret: &Value) -> Data {
    let secret: Secret = serde_json::from_value(secret.clone()).expect("a Secret");
    let data = secret.data.unwrap_or_default().into_iter();
    data.map(|(name, value)| (name, value.0)).collect()
}

/// The plan of a shop that has these Secrets and these servers. What it lacks is generated anew.
fn again(
    shop: &Storefront,
    own: BTreeMap<String, Data>,
    servers: &Objects<Planned>,
) -> Objects<Planned> {
    let before = seen(shop);
    let missing = missing_material(shop, &own, before.now);
    let mut fresh = before.fresh.clone();
    fresh.passwords = missing
        .passwords
        .iter()
        .map(|name| (name.clone(), format!("new-{name}")))
        .collect();
    fresh.signing_key = missing.signing_key.then(|| SigningKey {
        kid: "new-key".into(),
        pem: "another key".into(),
    });
    let seen = Observed {
        own,
        fresh,
        servers: applied(servers, |_| Value::Null),
        ..before
    };
    let valid = validate(shop, seen, &platform());
    desired(&valid.ready().expect("valid"))
}

fn servers(objects: &Objects<Planned>) -> Objects<Planned> {
    let items = objects.items.iter();
    let of_servers = items.filter(|item| ["StatefulSet", "Deployment"].contains(&&*item.key.kind));
    of_servers.cloned().collect()
}

fn body<'a>(objects: &'a Objects<Planned>, kind: &str, name: &str) -> &'a Value {
    let mut items = objects.items.iter();
    let found = items.find(|item| item.key.kind == kind && item.key.name == name);
    &found.unwrap_or_else(|| panic!("no {kind} {name}")).body
}

/// Secrets with content that was generated.
const GENERATED: [&str; 6] = [
    "demo-admin",
    "demo-internal",
    "demo-signing-keys",
    "demo-postgres-admin",
    "demo-nats-logins",
    "demo-redis-logins",
];

#[test]
fn a_secret_that_is_lost_is_put_back_and_nothing_restarts() {
    let shop = shop("storefront.yaml");
    let first = desired(&valid_shop(&shop));
    for name in GENERATED.into_iter().chain(["demo-recovery"]) {
        let mut own = own(&shop, &first);
        assert!(own.remove(name).is_some(), "{name}");
        assert_eq!(
            bodies(&again(&shop, own, &servers(&first))),
            bodies(&first),
            "{name}"
        );
    }
    // All of them but the copies.
    let mut copies = own(&shop, &first);
    copies.retain(|name, _| name == "demo-recovery");
    assert_eq!(
        bodies(&again(&shop, copies, &servers(&first))),
        bodies(&first)
    );
}

fn bodies(objects: &Objects<Planned>) -> Vec<&Value> {
    objects.items.iter().map(|item| &item.body).collect()
}

#[test]
fn a_value_that_was_edited_is_put_back() {
    let shop = shop("storefront.yaml");
    let first = desired(&valid_shop(&shop));
    for (name, key) in [
        ("demo-internal", "token"),
        ("demo-signing-keys", "active"),
        ("demo-signing-keys", "key-1.pem"),
        ("demo-postgres-admin", "password"),
        ("demo-nats-logins", "key"),
        ("demo-redis-logins", "key"),
    ] {
        for edited in [&b"edited"[..], b""] {
            let mut own = own(&shop, &first);
            own.get_mut(name)
                .expect("one")
                .insert(key.into(), edited.into());
            let second = again(&shop, own, &servers(&first));
            assert_eq!(bodies(&second), bodies(&first), "{name}: {key}");
        }
    }
}

#[test]
fn the_administrators_password_may_be_chosen_and_a_chosen_one_is_put_back() {
    let shop = shop("storefront.yaml");
    let first = desired(&valid_shop(&shop));
    let mut secrets = own(&shop, &first);
    let admin = secrets.get_mut("demo-admin").expect("one");
    admin.insert("password".into(), b"chosen".into());
    let second = again(&shop, secrets, &servers(&first));
    let password = |objects: &Objects<Planned>| {
        let admin = data(body(objects, "Secret", "demo-admin"));
        String::from_utf8(admin["password"].clone()).expect("text")
    };
    assert_eq!(password(&second), "chosen");
    let mut secrets = own(&shop, &second);
    secrets.remove("demo-admin");
    assert_eq!(password(&again(&shop, secrets, &servers(&first))), "chosen");
}

#[test]
fn a_password_that_is_lost_for_good_is_replaced_on_server_and_clients_together() {
    let shop = shop("storefront.yaml");
    let first = desired(&valid_shop(&shop));
    for (secret, kind, server, file) in [
        ("demo-postgres-admin", "StatefulSet", "demo-postgres", None),
        (
            "demo-nats-logins",
            "StatefulSet",
            "demo-nats",
            Some(("demo-nats-config", "nats.conf")),
        ),
        (
            "demo-redis-logins",
            "Deployment",
            "demo-redis",
            Some(("demo-redis-config", "redis.conf")),
        ),
    ] {
        let mut secrets = own(&shop, &first);
        secrets.remove(secret);
        secrets.remove("demo-recovery");
        let second = again(&shop, secrets, &servers(&first));
        let new = format!("new-{secret}");
        let auth = data(body(&second, "Secret", secret));
        let key = if file.is_some() { "key" } else { "password" };
        assert_eq!(auth[key], new.as_bytes());
        if let Some((config, file)) = file {
            // The logins follow from it.
            let text = |objects| data(body(objects, "Secret", config))[file].clone();
            assert_ne!(text(&second), text(&first), "{config}");
        }
        let template = |objects: &Objects<Planned>, name: &str, kind: &str| {
            body(objects, kind, name)["spec"]["template"].clone()
        };
        assert_ne!(
            template(&second, server, kind),
            template(&first, server, kind),
            "{server} restarts"
        );
        for (other, kind) in [
            ("demo-postgres", "StatefulSet"),
            ("demo-nats", "StatefulSet"),
            ("demo-redis", "Deployment"),
        ] {
            if other != server {
                assert_eq!(
                    template(&second, other, kind),
                    template(&first, other, kind)
                );
            }
        }
        // It restarts once: what it has then stays.
        let third = again(&shop, own(&shop, &second), &servers(&second));
        assert_eq!(
            template(&third, server, kind),
            template(&second, server, kind)
        );
    }
}

#[test]
fn a_server_from_before_is_not_restarted_until_its_password_changes() {
    let shop = shop("storefront.yaml");
    let first = desired(&valid_shop(&shop));
    let mut old = servers(&first);
    for item in &mut old.items {
        let annotations = item.body["metadata"]["annotations"].as_object_mut();
        if let Some(annotations) = annotations {
            annotations.remove("storefront.dev/first-secret-hash");
        }
    }
    let mut secrets = own(&shop, &first);
    secrets.remove("demo-recovery");
    let second = again(&shop, secrets, &old);
    for server in ["demo-postgres", "demo-nats"] {
        let template = |objects| &body(objects, "StatefulSet", server)["spec"]["template"];
        assert_eq!(template(&second), template(&first), "{server}");
    }
    assert_eq!(
        body(&second, "Secret", "demo-recovery")["data"],
        body(&first, "Secret", "demo-recovery")["data"],
        "its values are copied"
    );
}

#[test]
fn the_copies_belong_to_whoever_the_data_belongs_to() {
    let mut shop = shop("storefront.yaml");
    let owners = |shop: &Storefront| {
        let objects = desired(&valid_shop(shop));
        body(&objects, "Secret", "demo-recovery")["metadata"]["ownerReferences"].clone()
    };
    assert!(owners(&shop).is_array());
    shop.spec.deletion_policy = crds::DeletionPolicy::Retain;
    assert_eq!(owners(&shop), json!(null));
}

#[test]
fn the_password_of_a_server_that_the_user_ran_is_not_taken_over() {
    let shop = shop("storefront.yaml");
    let first = desired(&valid_shop(&shop));
    let mut secrets = own(&shop, &first);
    secrets.remove("demo-recovery");
    // The Secret by which workloads were bound to that server is another one than that of ours.
    let theirs = [("provider", "external"), ("password", "it's \"theirs\"")];
    let theirs = theirs.map(|(key, value)| (key.to_owned(), value.as_bytes().to_vec()));
    secrets.insert("demo-redis-auth".into(), theirs.into());
    let second = again(&shop, secrets, &servers(&first));
    let config = data(body(&second, "Secret", "demo-redis-config"));
    let text = String::from_utf8(config["redis.conf"].clone()).expect("text");
    assert!(!text.contains("theirs"), "{text}");
}

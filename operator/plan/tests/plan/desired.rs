//! The objects of each example, as files that a reviewer reads (`tests/plan/snapshots`).

use crds::ServiceDeployment;
use gateway_routes::api::Gateway;
use insta::assert_snapshot;
use operator_plan::{Mode, ObjectKey, Objects, Planned, gateway, service_deployment, storefront};

use crate::fixtures::{
    around, children, data_plane, example, gateway_of, migrated, platform, shop, valid_service,
    valid_shop,
};

fn yaml(objects: &Objects<Planned>) -> String {
    let documents = objects.items.iter().map(|item| {
        let body = serde_yaml::to_string(&item.body).expect("YAML");
        match item.mode {
            Mode::Apply => body,
            Mode::ApplyScaled { at_least } => {
                format!("# an autoscaler says how many pods, from {at_least}\n{body}")
            }
            Mode::Grow => format!("# a claim that grows\n{body}"),
            Mode::Create => format!("# only created, never changed\n{body}"),
            Mode::Keep => format!("# kept as it is\n{body}"),
        }
    });
    documents.collect::<Vec<_>>().join("---\n")
}

#[test]
fn the_demo_shop() {
    assert_snapshot!(yaml(&storefront::desired(&valid_shop(&shop(
        "storefront.yaml"
    )))));
}

#[test]
fn a_shop_with_every_field() {
    assert_snapshot!(yaml(&storefront::desired(&valid_shop(&shop(
        "storefront-full.yaml"
    )))));
}

#[test]
fn a_shop_behind_a_foreign_gateway() {
    let shop = shop("storefront-foreign-gateway.yaml");
    assert_snapshot!(yaml(&storefront::desired(&valid_shop(&shop))));
}

#[test]
fn a_shop_with_a_certificate_of_its_own_making() {
    let shop = shop("storefront-self-signed.yaml");
    assert_snapshot!(yaml(&edge_of(&storefront::desired(&valid_shop(&shop)))));
}

#[test]
fn a_shop_whose_certificate_an_issuer_makes() {
    let shop = shop("storefront-issuer.yaml");
    assert_snapshot!(yaml(&edge_of(&storefront::desired(&valid_shop(&shop)))));
}

#[test]
fn a_shop_with_an_external_cache() {
    let shop = shop("storefront-external-cache.yaml");
    let mut objects = storefront::desired(&valid_shop(&shop));
    let of_it = |name: &str| name.contains("redis") || name.contains("cache-clients");
    objects.items.retain(|item| of_it(&item.key.name));
    assert_snapshot!(yaml(&objects));
}

/// What of a shop is about its certificate.
fn edge_of(objects: &Objects<Planned>) -> Objects<Planned> {
    let items = objects.items.iter();
    items
        .filter(|item| item.key.kind == "Gateway" || item.key.name.ends_with("-tls"))
        .cloned()
        .collect()
}

#[test]
fn the_services_of_the_demo_shop() {
    let shop = shop("storefront.yaml");
    for service in children(&shop) {
        let name = service.metadata.name.clone().expect("a name");
        let objects = service_deployment::desired(&valid_service(&service, &shop));
        assert_snapshot!(format!("service-{name}"), yaml(&objects));
    }
}

#[test]
fn a_service_that_scales() {
    let shop = shop("storefront-full.yaml");
    let order = children(&shop)
        .into_iter()
        .find(|s| s.metadata.name.as_deref() == Some("acme-order"))
        .expect("the order service");
    assert_snapshot!(yaml(&service_deployment::desired(&valid_service(
        &order, &shop
    ))));
}

#[test]
fn a_migration() {
    let service: ServiceDeployment = example("team-service.yaml").pop().expect("one");
    let shop = shop("storefront.yaml");
    let valid = service_deployment::validate(&service, &around(&service, &shop), &platform());
    let mut objects = service_deployment::desired(&valid.ready().expect("valid"));
    objects.items.retain(|item| item.key.kind == "Job");
    assert_snapshot!(yaml(&objects));
}

#[test]
fn a_teams_service() {
    let service: ServiceDeployment = example("team-service.yaml").pop().expect("one");
    let shop = shop("storefront.yaml");
    assert_snapshot!(yaml(&service_deployment::desired(&valid_service(
        &service, &shop
    ))));
}

#[test]
fn the_smallest_service_of_a_team() {
    let service: ServiceDeployment = example("team-service-smallest.yaml").pop().expect("one");
    let shop = shop("storefront.yaml");
    assert_snapshot!(yaml(&service_deployment::desired(&valid_service(
        &service, &shop
    ))));
}

#[test]
fn a_teams_service_may_not_answer_in_the_place_of_the_shops_own() {
    let mut service: ServiceDeployment = example("team-service.yaml").pop().expect("one");
    let seen = migrated(&service, &shop("storefront.yaml"));
    service.spec.routes[0].path = "/v1/auth/refresh".into();
    let verdict = service_deployment::validate(&service, &seen, &platform());
    let operator_plan::Verdict::Invalid(why) = verdict else {
        panic!("accepted");
    };
    assert_eq!(why.reason, "PathTaken");
    assert!(
        why.message
            .contains("/v1/auth/refresh belongs to the shop's own auth")
    );
}

#[test]
fn while_a_migration_runs_the_pods_stay_as_they_are() {
    let service: ServiceDeployment = example("team-service.yaml").pop().expect("one");
    let seen = around(&service, &shop("storefront.yaml"));
    let valid = service_deployment::validate(&service, &seen, &platform())
        .ready()
        .expect("valid");
    let objects = service_deployment::desired(&valid);
    let of = |kind: &str| {
        objects
            .items
            .iter()
            .find(|item| item.key.kind == kind)
            .map(|i| i.mode)
    };
    assert_eq!(of("Job"), Some(Mode::Apply));
    assert_eq!(of("Deployment"), Some(Mode::Keep));
}

#[test]
fn a_migration_that_was_seen_to_end_does_not_run_again_when_its_job_is_cleaned_up() {
    let mut service: ServiceDeployment = example("team-service.yaml").pop().expect("one");
    let shop = shop("storefront.yaml");
    let valid = valid_service(&service, &shop);
    let now = jiff::Timestamp::UNIX_EPOCH;
    let outcome = operator_plan::Outcome::Applied {
        valid: &valid,
        objects: &Objects::new(),
    };
    service.status = Some(service_deployment::status(&service, &outcome, now));
    let seen = around(&service, &shop);
    let valid = service_deployment::validate(&service, &seen, &platform())
        .ready()
        .expect("valid");
    assert!(valid.migration().is_past());
}

#[test]
fn rotated_credentials_are_tried_by_the_migration_before_the_pods_roll_over_to_them() {
    let service: ServiceDeployment = example("team-service.yaml").pop().expect("one");
    let shop = shop("storefront.yaml");
    let mut seen = migrated(&service, &shop);
    for binding in seen.bindings.values_mut() {
        let status = std::sync::Arc::make_mut(binding).status.as_mut();
        let status = status.expect("a status");
        status.binding.as_mut().expect("a Secret").name = "rotated".into();
    }
    seen.secrets.insert("rotated".into(), "other".into());
    let plan = |seen: &service_deployment::Observed| {
        let valid = service_deployment::validate(&service, seen, &platform());
        valid.ready().expect("valid")
    };
    let find = |valid: &service_deployment::Valid, kind: &str| {
        let items = service_deployment::desired(valid).items;
        let found = items.into_iter().find(|item| item.key.kind == kind);
        let found = found.unwrap_or_else(|| panic!("no {kind}"));
        (found.mode, found.body.to_string().contains("\"rotated\""))
    };
    let valid = plan(&seen);
    assert_eq!(find(&valid, "Job"), (Mode::Apply, true));
    assert_eq!(find(&valid, "Deployment"), (Mode::Keep, false));
    let service_deployment::Migration::Running { job } = valid.migration() else {
        panic!("the migration runs");
    };
    let done = seen.jobs.values().next().expect("the one before").clone();
    seen.jobs.insert(job.clone(), done);
    let scaled = Mode::ApplyScaled { at_least: 1 };
    assert_eq!(find(&plan(&seen), "Deployment"), (scaled, true));
}

#[test]
fn the_data_plane_of_the_demo_shop() {
    for file in ["storefront.yaml", "storefront-full.yaml"] {
        let shop = shop(file);
        let planned = storefront::desired(&valid_shop(&shop));
        assert_snapshot!(
            format!("gateway-of-{file}"),
            yaml(&data_plane(&gateway_of(&planned), &shop))
        );
    }
}

#[test]
fn a_gateway_with_an_invalid_collector_is_refused() {
    let planned = storefront::desired(&valid_shop(&shop("storefront-full.yaml")));
    let item = planned.items.into_iter().find(|i| i.key.kind == "Gateway");
    let mut gateway: Gateway = serde_json::from_value(item.expect("one").body).expect("a Gateway");
    let annotations = gateway.metadata.annotations.as_mut().expect("annotations");
    annotations.insert(
        "storefront.dev/otlp-endpoint".into(),
        "collector:4318".into(),
    );
    let operator_plan::Verdict::Invalid(why) =
        gateway::validate(&gateway, &gateway::Observed::default(), &platform())
    else {
        panic!("accepted");
    };
    assert_eq!(why.reason, "TracingInvalid");
    assert!(why.message.contains("must be a URL"), "{}", why.message);
}

#[test]
fn the_dump_before_a_drop() {
    use operator_plan::database_binding::{Wanted, backup};
    let binding = example::<crds::DatabaseBinding>("external-database.yaml")
        .pop()
        .expect("one");
    let wanted = Wanted::of(&binding, false).expect("stored");
    assert_snapshot!(yaml(&backup(&binding, &wanted, &platform(), None).objects));
}

#[test]
fn a_secret_of_the_users_that_is_missing_leaves_what_is_made_of_it_as_it_is() {
    let shop = shop("storefront-full.yaml");
    let mode = |objects: &Objects<Planned>, key: &ObjectKey| {
        let item = objects.items.iter().find(|item| item.key == *key);
        item.map(|item| item.mode)
    };
    let all = storefront::desired(&valid_shop(&shop));
    let mut seen = crate::fixtures::seen(&shop);
    seen.referenced.clear();
    let valid = storefront::validate(&shop, seen, &platform())
        .ready()
        .expect("valid");
    let rest = storefront::desired(&valid);
    let keys = |objects: &Objects<Planned>| {
        let items = objects.items.iter();
        items.map(|item| item.key.clone()).collect::<Vec<_>>()
    };
    assert_eq!(keys(&all), keys(&rest), "nothing is pruned");
    let left_alone = ["acme-smtp", "acme-database-clients"];
    for item in &rest.items {
        let name = item.key.name.as_str();
        if left_alone.contains(&name) {
            assert_eq!(item.mode, Mode::Keep, "{name}");
        } else {
            assert_eq!(Some(item.mode), mode(&all, &item.key), "{name}");
        }
    }
}

#[test]
fn what_a_shop_has_in_its_secrets_is_never_replaced() {
    let shop = shop("storefront.yaml");
    let mut seen = crate::fixtures::seen(&shop);
    let own = |pairs: &[(&str, &str)]| {
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), v.as_bytes().to_vec()))
            .collect()
    };
    seen.own
        .insert("demo-admin".into(), own(&[("password", "old")]));
    seen.own
        .insert("demo-nats-logins".into(), own(&[("key", "old-nats")]));
    let keys = [
        ("active", "k0"),
        ("k0.pem", "old key"),
        ("k-1.pem", "older key"),
    ];
    seen.own.insert("demo-signing-keys".into(), own(&keys));
    let valid = storefront::validate(&shop, seen, &platform())
        .ready()
        .expect("valid");
    let objects = storefront::desired(&valid);
    let secret = |name: &str| {
        let item = objects
            .items
            .iter()
            .find(|i| i.key.kind == "Secret" && i.key.name == name);
        let item = item.expect("planned");
        let secret: k8s_openapi::api::core::v1::Secret =
            serde_json::from_value(item.body.clone()).expect("a Secret");
        let text = |bytes: &k8s_openapi::ByteString| String::from_utf8(bytes.0.clone());
        let data = secret.data.expect("data");
        let read = |key: &str| data.get(key).map(|b| text(b).expect("text"));
        (
            item.mode,
            read("password"),
            read("active"),
            read("k-1.pem"),
            read("key"),
        )
    };
    assert_eq!(secret("demo-admin").0, Mode::Apply);
    assert_eq!(secret("demo-admin").1.as_deref(), Some("old"));
    assert_eq!(secret("demo-nats-logins").4.as_deref(), Some("old-nats"));
    assert_eq!(secret("demo-signing-keys").2.as_deref(), Some("k0"));
    assert_eq!(secret("demo-signing-keys").3.as_deref(), Some("older key"));
    assert_eq!(secret("demo-internal").0, Mode::Create);
}

//! What users set for pods: it reaches every pod of a shop, a part wins over its shop, and what is not set changes
//! nothing.

use std::collections::BTreeSet;

use crds::{
    LocalRef, PodSettings, ResourceList, Resources, ServiceDeployment, ServiceOverride, Storefront,
};
use operator_plan::{
    Mode, Objects, Planned, database_binding,
    service_deployment::{self, Migration},
    storefront,
};
use serde_json::{Value, json};

use crate::fixtures::{
    around, children, data_plane, example, gateway_of, migrated, platform, shop, valid_shop,
};
use crate::proof::upgrade;

/// Every pod template that is made for a shop, by the object that has it.
fn templates(shop: &Storefront) -> Vec<(String, Value)> {
    let planned = storefront::desired(&valid_shop(shop));
    let mut plans = vec![data_plane(&gateway_of(&planned), shop), planned];
    for service in children(shop) {
        for seen in [around(&service, shop), migrated(&service, shop)] {
            let valid = service_deployment::validate(&service, &seen, &platform()).ready();
            plans.push(service_deployment::desired(&valid.expect("valid")));
        }
    }
    plans.push(dump(shop));
    let items = plans.into_iter().flat_map(|plan| plan.items);
    items
        .filter(|item| item.mode != Mode::Keep)
        .map(|item| {
            let name = format!("{} {}", item.key.kind, item.key.name);
            (name, item.body["spec"]["template"].clone())
        })
        .filter(|(_, template)| template["spec"]["containers"].is_array())
        .collect()
}

fn dump(shop: &Storefront) -> Objects<Planned> {
    let binding = example::<crds::DatabaseBinding>("external-database.yaml").pop();
    let binding = binding.expect("one");
    let wanted = database_binding::Wanted::of(&binding, false).expect("stored");
    database_binding::backup(&binding, &wanted, &platform(), Some(shop)).objects
}

fn settings(value: Value) -> Box<PodSettings> {
    Box::new(serde_json::from_value(value).expect("settings"))
}

fn limits(cpu: &str) -> Resources {
    Resources {
        requests: None,
        limits: Some(ResourceList {
            cpu: Some(cpu.into()),
            memory: None,
        }),
    }
}

fn everything() -> Box<PodSettings> {
    settings(json!({
        "nodeSelector": { "pool": "shops" },
        "tolerations": [{ "key": "pool", "operator": "Exists" }],
        "affinity": { "nodeAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [{ "matchExpressions": [{ "key": "arch", "operator": "Exists" }] }] } } },
        "priorityClassName": "shops",
        "topologySpreadConstraints": [{ "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule" }],
        "labels": { "team": "commerce" },
        "annotations": { "owner": "commerce" },
    }))
}

fn set_everywhere(shop: &mut Storefront) {
    shop.spec.pods = Some(everything());
    shop.spec.resources = Some(limits("1"));
    shop.spec.image_pull_secrets = vec![LocalRef::new("login")];
}

fn assert_has_everything(name: &str, template: &Value) {
    let (meta, pod) = (&template["metadata"], &template["spec"]);
    assert_eq!(meta["labels"]["team"], "commerce", "{name}");
    assert_eq!(meta["annotations"]["owner"], "commerce", "{name}");
    assert_eq!(pod["nodeSelector"], json!({ "pool": "shops" }), "{name}");
    assert_eq!(pod["tolerations"][0]["key"], "pool", "{name}");
    assert!(pod["affinity"]["nodeAffinity"].is_object(), "{name}");
    assert_eq!(pod["priorityClassName"], "shops", "{name}");
    assert_eq!(
        pod["imagePullSecrets"],
        json!([{ "name": "login" }]),
        "{name}"
    );
    let spread = &pod["topologySpreadConstraints"];
    assert_eq!(spread.as_array().map(Vec::len), Some(1), "{name}");
    assert_eq!(spread[0]["topologyKey"], "rack", "{name}");
    let own = &spread[0]["labelSelector"]["matchLabels"];
    let labels = &meta["labels"];
    for (key, value) in own.as_object().expect("a selector") {
        assert_eq!(&labels[key], value, "{name}: its own pods are spread");
    }
    for container in pod["containers"].as_array().expect("containers") {
        assert_eq!(container["resources"]["limits"]["cpu"], "1", "{name}");
    }
}

#[test]
fn what_a_shop_sets_reaches_every_pod_of_it() {
    for file in ["storefront.yaml", "storefront-external-cache.yaml"] {
        let mut shop = shop(file);
        set_everywhere(&mut shop);
        let templates = templates(&shop);
        let kinds: BTreeSet<&str> = templates
            .iter()
            .filter_map(|(name, _)| name.split(' ').next())
            .collect();
        assert_eq!(kinds, BTreeSet::from(["Deployment", "Job", "StatefulSet"]));
        assert!(templates.len() > 15, "only {}", templates.len());
        for (name, template) in templates {
            assert_has_everything(&name, &template);
        }
    }
}

#[test]
fn a_trial_of_a_new_image_runs_where_the_servers_pods_do_and_reserves_little() {
    let (mut shop, world) = upgrade();
    set_everywhere(&mut shop);
    shop.spec.resources = Some(Resources {
        requests: Some(ResourceList {
            cpu: Some("3".into()),
            memory: Some("8Gi".into()),
        }),
        limits: limits("4").limits,
    });
    let valid = storefront::validate(&shop, world, &platform()).ready();
    let plan = storefront::desired(&valid.expect("valid")).items;
    let trials: Vec<_> = plan.iter().filter(|item| item.key.kind == "Job").collect();
    assert_eq!(trials.len(), 3);
    for trial in trials {
        let pod = &trial.body["spec"]["template"]["spec"];
        assert_eq!(pod["nodeSelector"], json!({ "pool": "shops" }));
        let resources = &pod["containers"][0]["resources"];
        assert_eq!(resources["requests"]["memory"], "16Mi");
        assert_eq!(resources["limits"]["cpu"], "4");
    }
}

#[test]
fn a_part_wins_over_its_shop() {
    let mut shop = shop("storefront.yaml");
    set_everywhere(&mut shop);
    let own = settings(json!({
        "nodeSelector": { "disk": "local" },
        "tolerations": [{ "key": "disk", "operator": "Exists" }],
        "priorityClassName": "data",
        "labels": { "team": "data" },
    }));
    let embedded = shop.spec.database.embedded.as_mut().expect("embedded");
    embedded.pods = Some(own.clone());
    embedded.resources = Some(limits("4"));
    shop.spec.gateway.pods = Some(own.clone());
    shop.spec.queue.nats.pods = Some(own.clone());
    shop.spec.cache.redis.as_mut().expect("redis").pods = Some(own.clone());
    let order = ServiceOverride {
        pods: Some(own),
        ..ServiceOverride::default()
    };
    shop.spec.services.insert("order".into(), order);
    let parts = [
        "demo-postgres",
        "demo-gateway",
        "demo-nats",
        "demo-redis",
        "demo-order",
    ];
    for (name, template) in templates(&shop) {
        let is_part = parts.iter().any(|part| name.contains(part));
        let pod = &template["spec"];
        let wanted = if is_part {
            json!({ "disk": "local", "pool": "shops" })
        } else {
            json!({ "pool": "shops" })
        };
        assert_eq!(pod["nodeSelector"], wanted, "{name}: a map is merged");
        let wanted = if is_part { "disk" } else { "pool" };
        assert_eq!(
            pod["tolerations"][0]["key"], wanted,
            "{name}: a list is replaced"
        );
        let priority = if is_part { "data" } else { "shops" };
        assert_eq!(pod["priorityClassName"], priority, "{name}");
        let team = if is_part { "data" } else { "commerce" };
        assert_eq!(template["metadata"]["labels"]["team"], team, "{name}");
        let cpu = if name.contains("demo-postgres") {
            "4"
        } else {
            "1"
        };
        let resources = &pod["containers"][0]["resources"];
        assert_eq!(resources["limits"]["cpu"], cpu, "{name}");
    }
}

#[test]
fn settings_that_set_nothing_change_no_pod() {
    let plain = shop("storefront.yaml");
    let mut empty = plain.clone();
    empty.spec.pods = Some(Box::default());
    empty.spec.resources = Some(Resources::default());
    empty.spec.gateway.pods = Some(Box::default());
    empty.spec.gateway.service = Some(crds::GatewayService::default());
    assert_eq!(templates(&plain), templates(&empty));
}

#[test]
fn a_change_of_a_part_changes_the_pods_of_that_part_only() {
    let plain = shop("storefront.yaml");
    let changed = |change: &dyn Fn(&mut Storefront)| {
        let mut other = plain.clone();
        change(&mut other);
        let before: BTreeSet<_> = templates(&plain).into_iter().map(text).collect();
        let after = templates(&other).into_iter().map(text);
        let names = after
            .filter(|it| !before.contains(it))
            .map(|(name, _)| name);
        // A Job that runs is another one.
        let names = names.filter(|name| !name.starts_with("Job"));
        names.collect::<Vec<String>>()
    };
    let some = || Some(settings(json!({ "nodeSelector": { "a": "b" } })));
    let postgres = changed(&|shop| {
        shop.spec.database.embedded.as_mut().expect("one").pods = some();
    });
    assert_eq!(postgres, ["StatefulSet demo-postgres"]);
    assert_eq!(
        changed(&|shop| shop.spec.gateway.pods = some()),
        ["Deployment demo-gateway"]
    );
    let order = changed(&|shop| {
        let order = ServiceOverride {
            pods: some(),
            ..ServiceOverride::default()
        };
        shop.spec.services.insert("order".into(), order);
    });
    assert_eq!(order, ["Deployment demo-order"]);
}

fn text((name, template): (String, Value)) -> (String, String) {
    (name, template.to_string())
}

#[test]
fn labels_and_annotations_of_the_operator_hold() {
    let mut shop = shop("storefront.yaml");
    shop.spec.pods = Some(settings(json!({
        "labels": { "app.kubernetes.io/name": "mine", "storefront.dev/uses-database": "mine" },
        "annotations": { "storefront.dev/bindings-hash": "mine", "storefront.dev/config-hash": "mine" },
    })));
    for (name, template) in templates(&shop) {
        let labels = &template["metadata"]["labels"];
        assert_ne!(labels["app.kubernetes.io/name"], "mine", "{name}");
        assert_ne!(labels["storefront.dev/uses-database"], "mine", "{name}");
        if name.starts_with("Deployment demo-order") {
            let hash = &template["metadata"]["annotations"]["storefront.dev/bindings-hash"];
            assert_ne!(hash, "mine", "{name}");
        }
    }
}

/// A team's service that has been migrated, with what `migrated` its status records.
fn known(migrated: &str) -> ServiceDeployment {
    let mut service: ServiceDeployment = example("team-service.yaml").pop().expect("one");
    service.status = Some(crds::ServiceDeploymentStatus {
        migrated: Some(migrated.into()),
        ..crds::ServiceDeploymentStatus::default()
    });
    service
}

fn plan(service: &ServiceDeployment, shop: &Storefront) -> service_deployment::Valid {
    let verdict = service_deployment::validate(service, &around(service, shop), &platform());
    verdict.ready().expect("valid")
}

fn revision(shop: &Storefront) -> String {
    let service: ServiceDeployment = example("team-service.yaml").pop().expect("one");
    let seen = migrated(&service, shop);
    let valid = service_deployment::validate(&service, &seen, &platform()).ready();
    match valid.expect("valid").migration() {
        Migration::Done { revision } => revision.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn no_migration_runs_again_for_a_place_or_for_what_visitors_see() {
    let mut shop = shop("storefront.yaml");
    let mut service = known(&revision(&shop));
    service.spec.pods = Some(everything());
    service.spec.resources = Some(limits("1"));
    shop.spec.hostnames = vec!["other.example".into()];
    shop.spec.display_name = Some("Other".into());
    shop.spec.currencies = vec!["CHF".into()];
    let teams = json!({ "priorityClassNames": ["shops"], "affinity": true,
        "tolerations": [{ "key": "pool", "operator": "Exists" }], "nodeSelector": { "pool": ["shops"] } });
    shop.spec.teams = Some(serde_json::from_value(teams).expect("what teams may"));
    let valid = plan(&service, &shop);
    assert!(valid.migration().is_past());
    let items = service_deployment::desired(&valid).items;
    let job = items.iter().find(|item| item.key.kind == "Job");
    assert_eq!(job.map(|job| job.mode), Some(Mode::Keep));

    service.spec.image = "ghcr.io/acme/reviews:2.0.0".into();
    assert!(!plan(&service, &shop).migration().is_past());
}

#[test]
fn a_migration_that_failed_is_tried_again_with_other_settings() {
    let shop = shop("storefront.yaml");
    let mut service: ServiceDeployment = example("team-service.yaml").pop().expect("one");
    let job = |service: &ServiceDeployment| match plan(service, &shop).migration() {
        Migration::Running { job } => job.clone(),
        other => panic!("{other:?}"),
    };
    let before = job(&service);
    service.spec.resources = Some(limits("2"));
    assert_ne!(job(&service), before);
}

#[test]
fn a_migration_that_an_earlier_release_recorded_does_not_run_again() {
    let shop = shop("storefront.yaml");
    let service: ServiceDeployment = example("team-service.yaml").pop().expect("one");
    let Migration::Running { job } = plan(&service, &shop).migration().clone() else {
        panic!("it runs");
    };
    // That was the end of the Job's name.
    let (_, tag) = job.rsplit_once('-').expect("a tag");
    assert!(plan(&known(tag), &shop).migration().is_past());
    assert!(!plan(&known("0123456789"), &shop).migration().is_past());
}

//! What a status says, and that it says the same until something changes.

use crds::Storefront;
use jiff::{SignedDuration, Timestamp};
use operator_plan::{
    Applied, Invalid, Objects, Outcome, Planned, Waiting, conditions::find, service_deployment,
    storefront,
};
use serde_json::{Value, json};

use crate::fixtures::{applied, children, edit, platform, shop, valid_service, valid_shop};

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn later() -> Timestamp {
    NOW + SignedDuration::from_hours(1)
}

pub fn well(item: &Planned) -> Value {
    match item.key.kind.as_str() {
        "StatefulSet" => json!({ "replicas": 1, "readyReplicas": 1, "observedGeneration": 1 }),
        "Deployment" => {
            json!({ "replicas": 1, "readyReplicas": 1, "updatedReplicas": 1, "availableReplicas": 1, "observedGeneration": 1 })
        }
        "ServiceDeployment" => {
            json!({ "replicas": 1, "readyReplicas": 1, "conditions": [condition("Ready", "True")] })
        }
        "Gateway" => {
            json!({ "conditions": [condition("Accepted", "True"), condition("Programmed", "True")] })
        }
        "HTTPRoute" => {
            json!({ "parents": [{ "parentRef": { "name": "demo" }, "controllerName": "storefront.dev/gateway-controller",
            "conditions": [condition("Accepted", "True"), condition("ResolvedRefs", "True")] }] })
        }
        _ => Value::Null,
    }
}

pub fn condition(type_: &str, status: &str) -> Value {
    json!({ "type": type_, "status": status, "reason": "Test", "message": "as the test says",
            "observedGeneration": 1, "lastTransitionTime": "1970-01-01T00:00:00Z" })
}

pub fn look(shop: &Storefront, status: impl Fn(&Planned) -> Value) -> Objects<Applied> {
    applied(&storefront::desired(&valid_shop(shop)), status)
}

/// What a look finds that makes nothing: those of the plan that are read.
fn found(
    plan: &Objects<Planned>,
    read: &Objects<Planned>,
    status: impl Fn(&Planned) -> Value,
) -> Objects<Applied> {
    let mut objects = applied(plan, status);
    objects.items.retain(|item| read.contains(&item.key));
    assert_eq!(objects.items.len(), read.items.len());
    objects
}

fn names(list: &[crds::Condition]) -> Vec<(&str, &str)> {
    list.iter()
        .map(|c| (c.type_.as_str(), c.status.as_str()))
        .collect()
}

/// The status of a shop of which everything was applied.
pub fn of_shop(
    shop: &Storefront,
    objects: &Objects<Applied>,
    now: Timestamp,
) -> crds::StorefrontStatus {
    of_valid(shop, (&valid_shop(shop), objects), now)
}

fn of_valid(
    shop: &Storefront,
    (valid, objects): (&storefront::Valid, &Objects<Applied>),
    now: Timestamp,
) -> crds::StorefrontStatus {
    told(shop, &Outcome::Applied { valid, objects }, now)
}

fn told(
    shop: &Storefront,
    outcome: &Outcome<'_, storefront::Valid>,
    now: Timestamp,
) -> crds::StorefrontStatus {
    storefront::status(shop, outcome, &platform(), now)
}

#[test]
fn a_shop_with_all_parts_ready_is_ready() {
    let shop = shop("storefront.yaml");
    let objects = look(&shop, well);
    let status = of_shop(&shop, &objects, NOW);
    assert_eq!(
        names(&status.conditions),
        [
            ("CacheReady", "True"),
            ("DatabaseReady", "True"),
            ("GatewayProgrammed", "True"),
            ("QueueReady", "True"),
            ("Ready", "True"),
            ("ServicesReady", "True")
        ]
    );
    assert_eq!(status.url.as_deref(), Some("http://demo.localhost"));
    assert_eq!(status.services.expect("counted").summary, "7/7");
    assert_eq!(status.blocked_by, None);
}

#[test]
fn a_shop_names_the_child_that_it_waits_for_and_since_when() {
    let shop = shop("storefront.yaml");
    let objects = look(&shop, |item| match item.key.name.as_str() {
        "demo-order" => json!({ "conditions": [condition("Ready", "False")] }),
        _ => well(item),
    });
    let status = of_shop(&shop, &objects, NOW);
    let ready = find(&status.conditions, "Ready").expect("Ready");
    assert_eq!(
        (ready.status.as_str(), ready.reason.as_str()),
        ("False", "ServicesNotReady")
    );
    assert!(
        ready
            .message
            .contains("ServiceDeployment demo-order is not ready since 1970-01-01T00:00:00Z"),
        "{}",
        ready.message
    );
    assert!(find(&status.conditions, "Reconciling").is_some_and(crds::Condition::is_true));
    assert_eq!(status.blocked_by.expect("somebody").name, "demo-order");
}

#[test]
fn a_bus_of_three_is_ready_with_all_and_says_whether_a_majority_is() {
    let shop = shop("storefront-full.yaml");
    let with = |pods: i32| {
        let objects = look(&shop, |item| match item.key.name.as_str() {
            "acme-nats" if item.key.kind == "StatefulSet" => {
                json!({ "replicas": 3, "readyReplicas": pods, "observedGeneration": 1 })
            }
            _ => well(item),
        });
        let status = of_shop(&shop, &objects, NOW);
        let queue = find(&status.conditions, "QueueReady").expect("QueueReady");
        (queue.status.clone(), queue.message.clone())
    };
    assert_eq!(with(3).0, "True");
    for (pods, meaning) in [
        (
            2,
            "2 of 3 pods are ready: a majority, so events are delivered",
        ),
        (
            1,
            "1 of 3 pods are ready: no majority, so events are delayed",
        ),
    ] {
        let (status, message) = with(pods);
        assert_eq!(status, "False");
        assert!(message.contains(meaning), "{message}");
    }
}

#[test]
fn a_shop_says_which_issuer_it_waits_for_until_the_certificate_is_there() {
    let shop = shop("storefront-issuer.yaml");
    let with = |valid: &storefront::Valid| {
        let objects = applied(&storefront::desired(valid), well);
        let outcome = Outcome::Applied {
            valid,
            objects: &objects,
        };
        let status = told(&shop, &outcome, NOW);
        let gateway = find(&status.conditions, "GatewayProgrammed").expect("there");
        (gateway.reason.clone(), gateway.message.clone())
    };
    let waiting = valid_shop(&shop);
    let (reason, message) = with(&waiting);
    assert_eq!(reason, "CertificatePending");
    assert!(
        message.contains("from ClusterIssuer letsencrypt: the Secret public-tls does not exist"),
        "{message}"
    );
    assert!(waiting.awaits_certificate());
    let mut seen = crate::fixtures::seen(&shop);
    let certificate = [("tls.crt".to_owned(), b"a certificate".to_vec())];
    seen.own.insert("public-tls".into(), certificate.into());
    let valid = storefront::validate(&shop, seen, &crate::fixtures::platform());
    let valid = valid.ready().expect("valid");
    assert_eq!(with(&valid).0, "Ready");
    assert!(!valid.awaits_certificate());
}

#[test]
fn a_cache_of_the_owners_is_not_waited_for_and_named() {
    let shop = shop("storefront-external-cache.yaml");
    let objects = look(&shop, well);
    let status = of_shop(&shop, &objects, NOW);
    let cache = find(&status.conditions, "CacheReady").expect("CacheReady");
    assert_eq!(
        (cache.status.as_str(), cache.reason.as_str()),
        ("True", "External")
    );
    assert_eq!(
        cache.message,
        "the shop uses the external server of Secret acme-elasticache"
    );
}

#[test]
fn an_old_verdict_about_a_child_does_not_count() {
    let shop = shop("storefront.yaml");
    let mut objects = look(&shop, well);
    let item = objects
        .items
        .iter_mut()
        .find(|item| item.key.name == "demo-web")
        .expect("web");
    edit(item, |live| live["metadata"]["generation"] = json!(2));
    let status = of_shop(&shop, &objects, NOW);
    assert_eq!(status.services.expect("counted").ready, 6);
}

#[test]
fn nothing_changes_in_a_status_while_nothing_changes_in_the_world() {
    for how in 0..5 {
        let mut shop = shop("storefront.yaml");
        let valid = valid_shop(&shop);
        let waiting = Waiting::new("SecretMissing", "a Secret is missing");
        let invalid = Invalid::new("Wrong", "a field is wrong");
        let objects = if how == 0 {
            look(&shop, well)
        } else {
            look(&shop, |_| Value::Null)
        };
        let outcome = match how {
            0 | 1 => Outcome::Applied {
                valid: &valid,
                objects: &objects,
            },
            2 => Outcome::Waiting(&waiting, &objects),
            3 => Outcome::Invalid(&invalid, &objects),
            _ => Outcome::Paused(&objects),
        };
        let once = told(&shop, &outcome, NOW);
        shop.status = Some(once.clone());
        let twice = told(&shop, &outcome, NOW + SignedDuration::from_mins(9));
        assert_eq!(once, twice);
    }
}

#[test]
fn only_a_flip_moves_the_time_of_a_condition() {
    let mut shop = shop("storefront.yaml");
    let valid = valid_shop(&shop);
    let bad = look(&shop, |_| Value::Null);
    shop.status = Some(of_valid(&shop, (&valid, &bad), NOW));
    let waiting = Waiting::new("SecretMissing", "a Secret is missing");
    let outcome = Outcome::Waiting(&waiting, &bad);
    let next = told(&shop, &outcome, later());
    let ready = find(&next.conditions, "Ready").expect("Ready");
    assert_eq!(ready.reason, "SecretMissing");
    assert_eq!(ready.last_transition_time.0, NOW);
    shop.status = Some(next);
    let good = look(&shop, well);
    let last = of_valid(&shop, (&valid, &good), later());
    assert_eq!(
        find(&last.conditions, "Ready")
            .expect("Ready")
            .last_transition_time
            .0,
        later()
    );
    assert!(find(&last.conditions, "Reconciling").is_none());
}

#[test]
fn a_spec_that_only_its_author_can_mend_is_stalled_and_remembers_the_rest() {
    let mut shop = shop("storefront.yaml");
    let objects = look(&shop, well);
    shop.status = Some(of_shop(&shop, &objects, NOW));
    shop.metadata.generation = Some(2);
    let why = Invalid::new("QueueStorageTooSmall", "spec.queue.nats.storage: too small");
    let nothing = Objects::new();
    let outcome = Outcome::Invalid(&why, &nothing);
    let status = told(&shop, &outcome, NOW);
    assert_eq!(status.observed_generation, Some(2));
    assert!(find(&status.conditions, "Stalled").is_some_and(crds::Condition::is_true));
    assert_eq!(
        find(&status.conditions, "DatabaseReady").and_then(|c| c.observed_generation),
        Some(1)
    );
}

#[test]
fn a_shop_that_is_left_alone_still_says_how_its_parts_are() {
    let mut shop = shop("storefront.yaml");
    let left_alone = [
        condition("Ready", "Unknown"),
        condition("Available", "True"),
    ];
    let left_alone = left_alone.map(|mut condition| {
        condition["reason"] = json!("Paused");
        condition
    });
    let plan = storefront::desired(&valid_shop(&shop));
    let objects = found(&plan, &storefront::children(&shop), |item| {
        match item.key.kind.as_str() {
            "ServiceDeployment" => json!({ "conditions": left_alone }),
            _ if item.key.name == "demo-nats" => json!({ "observedGeneration": 1 }),
            _ => well(item),
        }
    });
    shop.status = Some(told(&shop, &Outcome::Paused(&objects), NOW));
    let status = shop.status.clone().expect("just told");
    let ready = find(&status.conditions, "Ready").expect("Ready");
    assert_eq!(
        (ready.status.as_str(), ready.reason.as_str()),
        ("Unknown", "Paused")
    );
    assert_eq!(status.services.expect("counted").summary, "7/7");
    let aspect = |type_| find(&status.conditions, type_).map(crds::Condition::is_true);
    assert_eq!(aspect("QueueReady"), Some(false));
    assert_eq!(aspect("DatabaseReady"), Some(true));
    assert_eq!(status.blocked_by.expect("somebody").name, "demo-nats");
    assert_eq!(storefront::unready(&shop, None, &objects).len(), 1);
}

#[test]
fn a_missing_secret_decides_and_the_parts_are_still_told() {
    let shop = shop("storefront-full.yaml");
    let tls = "acme-tls";
    let mut seen = crate::fixtures::seen(&shop);
    seen.referenced.remove(tls).expect("it is in the example");
    let valid = storefront::validate(&shop, seen, &crate::fixtures::platform());
    let valid = valid.ready().expect("the rest can be made");
    let objects = applied(&storefront::desired(&valid), well);
    let status = of_valid(&shop, (&valid, &objects), NOW);
    let ready = find(&status.conditions, "Ready").expect("Ready");
    assert_eq!(
        (ready.status.as_str(), ready.reason.as_str()),
        ("False", "SecretMissing")
    );
    assert!(ready.message.contains(tls), "{}", ready.message);
    assert!(find(&status.conditions, "ServicesReady").is_some_and(crds::Condition::is_true));
    let blocker = status.blocked_by.expect("the Secret");
    assert_eq!(
        (blocker.kind.as_str(), blocker.name.as_str()),
        ("Secret", tls)
    );
}

#[test]
fn a_shop_whose_server_is_not_known_has_no_database() {
    let shop = shop("storefront-full.yaml");
    let secret = storefront::needs(&shop).referenced.remove(0);
    let mut seen = crate::fixtures::seen(&shop);
    seen.referenced.remove(&secret);
    let valid = storefront::validate(&shop, seen, &crate::fixtures::platform());
    let valid = valid.ready().expect("the rest can be made");
    let objects = applied(&storefront::desired(&valid), well);
    let status = of_valid(&shop, (&valid, &objects), NOW);
    let database = find(&status.conditions, "DatabaseReady").expect("DatabaseReady");
    assert_eq!(database.status, "False");
    assert!(database.message.contains(&secret), "{}", database.message);
    // A look that reads no Secret leaves it at that.
    let mut shop = shop;
    let database = database.clone();
    shop.status = Some(status);
    for _ in 0..2 {
        let status = told(&shop, &Outcome::Paused(&objects), later());
        let now = find(&status.conditions, "DatabaseReady");
        assert_eq!(now, Some(&database));
        shop.status = Some(status);
    }
}

#[test]
fn a_workload_that_waits_still_says_how_its_pods_are() {
    let shop = shop("storefront.yaml");
    let mut service = children(&shop).remove(0);
    let plan = service_deployment::desired(&valid_service(&service, &shop));
    let read = service_deployment::children(&service);
    let objects = found(&plan, &read, well);
    let waiting = Waiting::new("BindingNotReady", "DatabaseBinding demo-auth is not ready");
    let outcome = Outcome::Waiting(&waiting, &objects);
    let status = service_deployment::status(&service, &outcome, NOW);
    assert_eq!(
        names(&status.conditions),
        [
            ("Available", "True"),
            ("BindingsReady", "False"),
            ("Ready", "False"),
            ("Reconciling", "True"),
            ("RoutesAccepted", "True")
        ]
    );
    assert_eq!((status.replicas, status.ready_replicas), (1, 1));
    service.status = Some(status);
    let gone = found(&plan, &read, |item| match item.key.kind.as_str() {
        "Deployment" => json!({ "observedGeneration": 1 }),
        _ => well(item),
    });
    let status = service_deployment::status(&service, &Outcome::Paused(&gone), later());
    assert!(find(&status.conditions, "Available").is_some_and(|c| !c.is_true()));
    assert_eq!(status.ready_replicas, 0);
    assert_eq!(service_deployment::unready(&service, None, &gone).len(), 1);
}

#[test]
fn a_workload_is_ready_when_its_newest_pods_and_its_routes_are() {
    let shop = shop("storefront.yaml");
    let service = children(&shop).remove(0);
    let valid = valid_service(&service, &shop);
    let planned = service_deployment::desired(&valid);
    let objects = applied(&planned, well);
    let status = service_deployment::status(
        &service,
        &Outcome::Applied {
            valid: &valid,
            objects: &objects,
        },
        NOW,
    );
    assert_eq!(
        names(&status.conditions),
        [
            ("Available", "True"),
            ("BindingsReady", "True"),
            ("Migrated", "True"),
            ("Ready", "True"),
            ("RoutesAccepted", "True")
        ]
    );
    assert_eq!(
        status.selector.as_deref(),
        Some("app.kubernetes.io/instance=demo-auth,app.kubernetes.io/name=auth")
    );
    assert!(status.migrated.is_some());

    let half = applied(&planned, |item| match item.key.kind.as_str() {
        "Deployment" => {
            json!({ "replicas": 2, "readyReplicas": 1, "updatedReplicas": 1, "availableReplicas": 1, "observedGeneration": 1 })
        }
        _ => well(item),
    });
    let status = service_deployment::status(
        &service,
        &Outcome::Applied {
            valid: &valid,
            objects: &half,
        },
        NOW,
    );
    let ready = find(&status.conditions, "Ready").expect("Ready");
    assert_eq!(
        (ready.status.as_str(), ready.reason.as_str()),
        ("False", "RollingOut")
    );
}

#[test]
fn a_workload_that_nobody_calls_from_outside_has_no_routes_to_wait_for() {
    let shop = shop("storefront.yaml");
    let service = crate::fixtures::example("team-service-smallest.yaml")
        .pop()
        .expect("one");
    let valid = valid_service(&service, &shop);
    let objects = applied(&service_deployment::desired(&valid), well);
    let status = service_deployment::status(
        &service,
        &Outcome::Applied {
            valid: &valid,
            objects: &objects,
        },
        NOW,
    );
    assert!(find(&status.conditions, "RoutesAccepted").is_none());
    assert!(find(&status.conditions, "Ready").is_some_and(crds::Condition::is_true));
}

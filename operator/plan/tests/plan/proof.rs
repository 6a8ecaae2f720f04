//! An image is known to start before the only pod of a server is replaced by a pod of it.

use std::collections::BTreeMap;

use crds::Storefront;
use k8s_openapi::api::batch::v1::Job;
use operator_plan::{
    Applied, Mode, Objects, Outcome, Planned, Verdict, conditions::find, objects::key_of,
    storefront,
};
use serde_json::{Value, json};

use crate::fixtures::{applied, edit, platform, seen, shop, valid_shop};

const OLD: &str = "ghcr.io/storefront-dev/postgres:1.0.0";
const NEW: &str = "ghcr.io/storefront-dev/postgres:2.0.0";

/// A shop that runs 1.0.0 and shall run 2.0.0, and what is seen of it.
pub fn upgrade() -> (Storefront, storefront::Observed) {
    let mut shop = shop("storefront.yaml");
    let live = applied(&storefront::desired(&valid_shop(&shop)), |_| Value::Null);
    let mut world = seen(&shop);
    let servers = storefront::servers(&shop);
    world.servers = live;
    world
        .servers
        .items
        .retain(|item| servers.contains(&item.key));
    assert_eq!(world.servers.items.len(), 3);
    shop.spec.version = Some("2.0.0".into());
    (shop, world)
}

fn valid(shop: &Storefront, world: &storefront::Observed) -> storefront::Valid {
    match storefront::validate(shop, world.clone(), &platform()) {
        Verdict::Ready(valid) => valid,
        other => panic!("{other:?}"),
    }
}

fn plan(shop: &Storefront, world: &storefront::Observed) -> Objects<Planned> {
    storefront::desired(&valid(shop, world))
}

/// Image of PostgreSQL's pod, and the names of the Jobs.
fn images(plan: &Objects<Planned>) -> (String, Vec<String>) {
    let set = plan
        .items
        .iter()
        .find(|item| item.key.kind == "StatefulSet" && item.key.name == "demo-postgres");
    let image = &set.expect("planned").body["spec"]["template"]["spec"]["containers"][0]["image"];
    let jobs = plan.items.iter().filter(|item| item.key.kind == "Job");
    let image = image.as_str().unwrap_or_default().to_owned();
    (image, jobs.map(|job| job.key.name.clone()).collect())
}

/// The Jobs of a plan, each with this condition.
fn jobs(plan: &Objects<Planned>, condition: &str) -> BTreeMap<String, Job> {
    let jobs = plan.items.iter().filter(|item| item.key.kind == "Job");
    let ended = jobs.map(|item| {
        let mut body = item.body.clone();
        body["status"] = json!({ "conditions": [{ "type": condition, "status": "True" }] });
        let job = serde_json::from_value(body).expect("a Job");
        (item.key.name.clone(), job)
    });
    ended.collect()
}

#[test]
fn the_first_servers_of_a_shop_are_made_at_once() {
    let mut shop = shop("storefront.yaml");
    shop.spec.version = Some("2.0.0".into());
    assert_eq!(images(&plan(&shop, &seen(&shop))), (NEW.into(), Vec::new()));
}

#[test]
fn an_upgrade_first_starts_the_images_and_leaves_the_servers_as_they_are() {
    let (mut shop, world) = upgrade();
    let upgrading = plan(&shop, &world);
    let (image, jobs) = images(&upgrading);
    assert_eq!((image.as_str(), jobs.len()), (OLD, 3));
    let tries: Vec<&Planned> = upgrading
        .items
        .iter()
        .filter(|item| item.key.kind == "Job")
        .collect();
    for item in &tries {
        let image = item.body["spec"]["template"]["spec"]["containers"][0]["image"].as_str();
        assert!(image.is_some_and(|image| image.ends_with(":2.0.0")));
        assert_eq!(item.mode, Mode::Apply);
    }
    let text = tries
        .iter()
        .map(|item| serde_yaml::to_string(&item.body).expect("YAML"));
    insta::assert_snapshot!(text.collect::<Vec<_>>().join("---\n"));
    // Nothing else of a server changes either, so that no pod rolls.
    shop.spec.version = None;
    let before = plan(&shop, &world);
    let sets = |plan: &Objects<Planned>| {
        let sets = plan.items.iter().filter(|item| item.key.group == "apps");
        sets.map(|item| item.body.clone()).collect::<Vec<_>>()
    };
    assert_eq!(sets(&upgrading), sets(&before));
}

#[test]
fn a_server_is_upgraded_once_its_image_is_known_to_start_and_then_the_job_is_deleted() {
    let (shop, mut world) = upgrade();
    world.jobs = jobs(&plan(&shop, &world), "Complete");
    let moved = plan(&shop, &world);
    assert_eq!(images(&moved), (NEW.into(), Vec::new()));
    // A kill right after the move: the Jobs may be gone or not, the server says what was proven.
    let live = applied(&moved, |_| Value::Null);
    world.servers.items = live
        .items
        .into_iter()
        .filter(|item| item.key.group == "apps")
        .collect();
    for jobs in [world.jobs.clone(), BTreeMap::new()] {
        world.jobs = jobs;
        assert_eq!(images(&plan(&shop, &world)), (NEW.into(), Vec::new()));
    }
}

#[test]
fn one_image_that_starts_does_not_move_the_others() {
    let (shop, mut world) = upgrade();
    world.jobs = jobs(&plan(&shop, &world), "Complete");
    world.jobs.retain(|name, _| name.contains("nats"));
    let (image, jobs) = images(&plan(&shop, &world));
    assert_eq!((image.as_str(), jobs.len()), (OLD, 2));
}

#[test]
fn an_image_that_does_not_start_upgrades_nothing_and_the_message_has_the_remedy() {
    let (shop, mut world) = upgrade();
    world.jobs = jobs(&plan(&shop, &world), "Failed");
    let planned = plan(&shop, &world);
    assert_eq!(images(&planned).0, OLD);
    let (ready, _) = told(&shop, &world, &applied(&planned, well));
    assert_eq!(ready.reason, "UpgradeFailed");
    assert!(
        ready
            .message
            .contains("kubectl logs job/demo-proof-postgres-"),
        "{}",
        ready.message
    );
}

fn well(item: &Planned) -> Value {
    match item.key.kind.as_str() {
        "StatefulSet" | "Deployment" => json!({ "readyReplicas": 1, "observedGeneration": 1 }),
        _ => Value::Null,
    }
}

fn told(
    shop: &Storefront,
    world: &storefront::Observed,
    objects: &Objects<Applied>,
) -> (crds::Condition, crds::StorefrontStatus) {
    let valid = valid(shop, world);
    let now = jiff::Timestamp::UNIX_EPOCH;
    let status = storefront::status(
        shop,
        &Outcome::Applied {
            valid: &valid,
            objects,
        },
        &platform(),
        now,
    );
    let ready = find(&status.conditions, "Ready").expect("Ready").clone();
    (ready, status)
}

#[test]
fn while_an_image_cannot_be_pulled_ready_is_false_and_the_database_is_ready() {
    let (mut shop, world) = upgrade();
    shop.status = Some(crds::StorefrontStatus {
        version: Some("1.0.0".into()),
        ..crds::StorefrontStatus::default()
    });
    let planned = plan(&shop, &world);
    let mut objects = applied(&planned, well);
    let valid = valid(&shop, &world);
    let whose = storefront::unready(&shop, Some(&valid), &objects);
    assert_eq!(whose.len(), 3);
    let job = images(&planned).1.remove(0);
    let pod = json!({ "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": "try", "ownerReferences": [{
            "apiVersion": "batch/v1", "kind": "Job", "name": job, "uid": "u", "controller": true }] },
        "spec": { "containers": [{ "name": "postgres", "image": NEW }] },
        "status": { "phase": "Pending", "containerStatuses": [{ "name": "postgres", "image": "",
            "imageID": "", "ready": false, "restartCount": 0,
            "state": { "waiting": { "reason": "ErrImagePull", "message": "not found" } } }] } });
    let key = key_of::<k8s_openapi::api::core::v1::Pod>("shops", "try");
    objects.items.push(Applied::decode(key, &pod));
    let (ready, status) = told(&shop, &world, &objects);
    assert_eq!(
        (ready.status.as_str(), ready.reason.as_str()),
        ("False", "UpgradeWaiting")
    );
    assert_eq!(
        ready.message,
        format!(
            "demo-postgres keeps image {OLD} until {NEW} is known to start. \
             Pod try: image {NEW} cannot be pulled: its registry does not have it"
        )
    );
    assert!(find(&status.conditions, "DatabaseReady").is_some_and(crds::Condition::is_true));
    assert_eq!(
        status.version.as_deref(),
        Some("1.0.0"),
        "that is what runs"
    );
    let blocker = status.blocked_by.expect("the Job");
    assert_eq!((blocker.kind, blocker.name), ("Job".into(), job));
}

#[test]
fn a_foreign_change_of_the_image_is_reverted_without_a_trial() {
    let (mut shop, mut world) = upgrade();
    shop.spec.version = None;
    for item in &mut world.servers.items {
        edit(item, |live| {
            live["spec"]["template"]["spec"]["containers"][0]["image"] = json!("evil:1");
        });
    }
    assert_eq!(images(&plan(&shop, &world)), (OLD.into(), Vec::new()));
}

#[test]
fn a_server_from_before_there_were_proofs_is_known_by_its_pods() {
    let (mut shop, mut world) = upgrade();
    for item in &mut world.servers.items {
        edit(item, |live| live["metadata"]["annotations"] = json!({}));
    }
    assert_eq!(images(&plan(&shop, &world)).0, OLD);
    shop.spec.version = None;
    assert_eq!(images(&plan(&shop, &world)), (OLD.into(), Vec::new()));
}

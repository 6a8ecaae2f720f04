//! Volumes grow by the spec: claims first, then their set. None shrinks.

use crds::Storefront;
use operator_plan::{
    Mode, Objects, Outcome, Planned,
    storefront::{self, Observed},
};
use serde_json::{Value, json};

use crate::fixtures::{applied, platform, seen, shop, valid_shop};

/// A shop whose servers were made as the spec says.
fn made(shop: &Storefront) -> Observed {
    let planned = storefront::desired(&valid_shop(shop));
    let sets = planned.items.into_iter();
    let sets = sets.filter(|item| item.key.kind == "StatefulSet").collect();
    Observed {
        servers: applied(&sets, |_| Value::Null),
        ..seen(shop)
    }
}

fn plan(shop: &Storefront, world: &Observed) -> Objects<Planned> {
    let valid = storefront::validate(shop, world.clone(), &platform()).ready();
    storefront::desired(&valid.expect("valid"))
}

fn grown(plan: &Objects<Planned>) -> Vec<(String, Value)> {
    let claims = plan.items.iter().filter(|item| item.mode == Mode::Grow);
    claims
        .map(|item| {
            let size = item.body["spec"]["resources"]["requests"]["storage"].clone();
            (item.key.name.clone(), size)
        })
        .collect()
}

fn size_of(plan: &Objects<Planned>, set: &str) -> Value {
    let found = plan
        .items
        .iter()
        .find(|item| item.key.kind == "StatefulSet" && item.key.name == set);
    found.expect("planned").body["spec"]["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]
        ["storage"]
        .clone()
}

#[test]
fn at_rest_no_claim_is_asked_for_anything() {
    let shop = shop("storefront.yaml");
    assert_eq!(grown(&plan(&shop, &seen(&shop))), []);
    assert_eq!(grown(&plan(&shop, &made(&shop))), []);
}

#[test]
fn the_claims_grow_before_their_set_is_made_anew() {
    let mut shop = shop("storefront.yaml");
    shop.spec.queue.nats.replicas = 3;
    let world = made(&shop);
    shop.spec.queue.nats.storage = "4Gi".into();
    let plan = plan(&shop, &world);
    let names = ["data-demo-nats-0", "data-demo-nats-1", "data-demo-nats-2"];
    let wanted = names.map(|name| (name.to_owned(), json!("4Gi")));
    assert_eq!(grown(&plan), wanted);
    assert_eq!(size_of(&plan, "demo-nats"), "4Gi");
    let place = |is: &dyn Fn(&Planned) -> bool| plan.items.iter().position(is);
    let claim = place(&|item| item.mode == Mode::Grow);
    let set = place(&|item| item.key.kind == "StatefulSet" && item.key.name == "demo-nats");
    assert!(claim < set, "{claim:?} {set:?}");
}

#[test]
fn the_bus_counts_on_the_size_that_its_volumes_have() {
    let config = |plan: &Objects<Planned>| {
        let found = plan
            .items
            .iter()
            .find(|item| item.key.name == "demo-nats-config");
        let secret: k8s_openapi::api::core::v1::Secret =
            serde_json::from_value(found.expect("planned").body.clone()).expect("a Secret");
        let data = secret.data.expect("data");
        String::from_utf8(data["nats.conf"].0.clone()).expect("text")
    };
    let mut shop = shop("storefront.yaml");
    let world = made(&shop);
    let before = config(&plan(&shop, &world));
    shop.spec.queue.nats.storage = "40Gi".into();
    assert_eq!(config(&plan(&shop, &world)), before, "not granted yet");
    let after = config(&plan(&shop, &made(&shop)));
    assert_ne!(after, before);
}

#[test]
fn no_volume_shrinks_and_another_spelling_is_no_other_size() {
    let mut shop = shop("storefront.yaml");
    let world = made(&shop);
    for (spec, planned) in [("512Mi", "1Gi"), ("1024Mi", "1Gi"), ("2048Mi", "2048Mi")] {
        shop.spec.database.embedded.as_mut().expect("one").storage = spec.into();
        assert_eq!(
            size_of(&plan(&shop, &world), "demo-postgres"),
            planned,
            "{spec}"
        );
    }
}

#[test]
fn a_shop_that_is_being_deleted_changes_no_volume() {
    let mut shop = shop("storefront.yaml");
    let world = made(&shop);
    shop.spec.database.embedded.as_mut().expect("one").storage = "9Gi".into();
    let now = k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(jiff::Timestamp::UNIX_EPOCH);
    shop.metadata.deletion_timestamp = Some(now);
    let plan = storefront::desired(&storefront::for_deletion(&shop, world, &platform()));
    assert_eq!(size_of(&plan, "demo-postgres"), "1Gi");
    assert_eq!(grown(&plan), []);
}

#[test]
fn the_status_has_the_sizes_that_were_granted() {
    let mut shop = shop("storefront.yaml");
    let world = made(&shop);
    shop.spec.queue.nats.storage = "9Gi".into();
    let valid = storefront::validate(&shop, world.clone(), &platform()).ready();
    let valid = valid.expect("valid");
    let outcome = Outcome::Applied {
        valid: &valid,
        objects: &world.servers,
    };
    let status = storefront::status(&shop, &outcome, &platform(), jiff::Timestamp::UNIX_EPOCH);
    let sizes = status.volumes.expect("sizes");
    assert_eq!(sizes.database.as_deref(), Some("1Gi"));
    assert_eq!(sizes.queue.as_deref(), Some("2Gi"));
}

//! Which release a shop runs, and what a newer operator leaves as it is.

use std::collections::BTreeSet;

use crds::{DatabaseBinding, Storefront, storefront::Update};
use jiff::Timestamp;
use kube::core::ResourceExt;
use operator_plan::{
    Objects, Outcome, Planned, Platform, database_binding, gateway, service_deployment, storefront,
};
use serde_json::Value;

use crate::fixtures::{self, children, example, gateway_of, migrated_by, platform, seen, shop};

/// An operator of a newer release, with another registry.
fn newer() -> Platform {
    Platform {
        registry: "mirror.example/storefront".into(),
        version: "2.0.0".into(),
        tag: "2.0.0".into(),
        rehearses: true,
        ..platform()
    }
}

fn pinned() -> Platform {
    let digest = |name: &str| (name.to_owned(), format!("sha256:{}", name.repeat(3)));
    Platform {
        digests: ["postgres", "order", "gateway"].map(digest).into(),
        ..platform()
    }
}

fn valid(shop: &Storefront, platform: &Platform) -> storefront::Valid {
    let valid = storefront::validate(shop, seen(shop), platform);
    valid.ready().expect("valid")
}

/// The shop with the status that an operator gives it.
pub fn run_by(mut shop: Storefront, platform: &Platform) -> Storefront {
    let (valid, objects) = (valid(&shop, platform), Objects::new());
    let outcome = Outcome::Applied {
        valid: &valid,
        objects: &objects,
    };
    shop.status = Some(storefront::status(
        &shop,
        &outcome,
        platform,
        Timestamp::UNIX_EPOCH,
    ));
    shop
}

/// Everything that is planned for a shop: of itself, its services, its gateway, and the dump of a database.
pub fn plan(shop: &Storefront, platform: &Platform) -> Vec<Planned> {
    let own = storefront::desired(&valid(shop, platform));
    let gateway = gateway_of(&own);
    let mut all = own.items;
    for service in children(shop) {
        let seen = migrated_by(platform, &service, shop);
        let valid = service_deployment::validate(&service, &seen, platform).ready();
        all.extend(service_deployment::desired(&valid.expect("valid")).items);
    }
    let around = gateway::Observed {
        storefront: Some(std::sync::Arc::new(shop.clone())),
        is_scaled: false,
        account_since: None,
    };
    let plane = gateway::validate(&gateway, &around, platform).ready();
    all.extend(gateway::desired(&plane.expect("valid")).items);
    let binding = example::<DatabaseBinding>("external-database.yaml").remove(0);
    let wanted = database_binding::Wanted::of(&binding, false).expect("stored");
    all.extend(
        database_binding::backup(&binding, &wanted, platform, Some(shop))
            .objects
            .items,
    );
    all
}

fn images(planned: &[Planned]) -> BTreeSet<String> {
    fn add(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(map) => {
                let image = map.get("image").and_then(Value::as_str);
                found.extend(image.map(str::to_owned));
                map.values().for_each(|inner| add(inner, found));
            }
            Value::Array(list) => list.iter().for_each(|inner| add(inner, found)),
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    for item in planned {
        add(&item.body, &mut found);
    }
    found
}

fn marked(planned: &[Planned]) -> Vec<&str> {
    let of_pods = planned.iter().filter(|item| {
        let template = &item.body["spec"]["template"]["metadata"]["annotations"];
        template["storefront.dev/rehearsal"].is_string()
    });
    of_pods.map(|item| item.key.name.as_str()).collect()
}

fn update_of(shop: &Storefront, platform: &Platform) -> Option<String> {
    let status = run_by(shop.clone(), platform).status.expect("a status");
    let mut all = status.conditions.into_iter();
    let found = all.find(|condition| condition.type_ == "UpdateAvailable");
    assert_eq!(found.is_some(), status.available_version.is_some());
    found.map(|condition| condition.message)
}

#[test]
fn a_newer_operator_plans_the_same_for_a_shop_of_another_release() {
    for by in [platform(), pinned()] {
        for file in fixtures::shops() {
            let mut shop = shop(&file);
            shop.spec.version = None;
            if shop.spec.gateway.class_name != storefront::BUILT_IN_CLASS {
                continue;
            }
            let shop = run_by(shop, &by);
            let (before, after) = (plan(&shop, &by), plan(&shop, &newer()));
            for (before, after) in before.iter().zip(&after) {
                assert_eq!(before, after, "{file}");
            }
            assert_eq!(before.len(), after.len(), "{file}");
            // Once more, with the status that the newer one wrote.
            let again = run_by(shop, &newer());
            assert_eq!(images(&plan(&again, &newer())), images(&before), "{file}");
        }
    }
}

#[test]
fn a_shop_takes_the_operators_release_when_its_spec_says_so() {
    let shop = run_by(shop("storefront.yaml"), &pinned());
    assert!(update_of(&shop, &pinned()).is_none());
    assert!(update_of(&shop, &newer()).is_some());
    let mut asking = shop.clone();
    asking.spec.version = Some("2.0.0".into());
    let mut following = shop;
    following.spec.update = Update::Automatic;
    for shop in [asking, following] {
        assert!(update_of(&shop, &newer()).is_none());
        let planned = plan(&shop, &newer());
        let services = children(&shop);
        let names: Vec<String> = services.iter().map(ResourceExt::name_any).collect();
        assert_eq!(marked(&planned), names);
        // The dump of a database is of the release that the servers run, until the new one is known to start.
        let mut images = images(&planned);
        assert!(
            images.remove(&pinned().image("postgres", "1.0.0")),
            "{images:?}"
        );
        let prefix = "mirror.example/storefront/";
        assert!(
            images.iter().all(|image| image.starts_with(prefix)),
            "{images:?}"
        );

        let taken = run_by(shop, &newer()).status.expect("a status");
        assert_eq!(taken.version.as_deref(), Some("2.0.0"));
        assert_eq!(
            taken.images.map(|images| images.tag).as_deref(),
            Some("2.0.0")
        );
    }
}

#[test]
fn a_shop_whose_spec_names_yet_another_release_has_the_images_of_that_and_the_templates_that_it_has()
 {
    let mut shop = run_by(shop("storefront.yaml"), &platform());
    shop.spec.version = Some("1.5.0".into());
    let planned = plan(&shop, &newer());
    assert!(marked(&planned).is_empty());
    assert!(images(&planned).contains("mirror.example/storefront/order:1.5.0"));
    let update = update_of(&shop, &newer()).expect("an update");
    assert!(
        update.contains("*:2.0.0 in place of mirror.example/storefront/*:1.5.0"),
        "{update}"
    );
}

#[test]
fn a_new_shop_has_the_newest_templates_whichever_release_it_asks_for() {
    let mut shop = shop("storefront.yaml");
    shop.spec.version = Some("1.0.0".into());
    let planned = plan(&shop, &newer());
    assert_eq!(marked(&planned).len(), children(&shop).len());
    assert!(images(&planned).contains("mirror.example/storefront/order:1.0.0"));
    let kept = run_by(shop, &newer());
    assert_eq!(
        plan(&kept, &newer()),
        planned,
        "also after its status is written"
    );
}

#[test]
fn an_older_operator_offers_nothing_and_follows_no_shop_back() {
    let mut shop = run_by(shop("storefront.yaml"), &newer());
    shop.spec.update = Update::Automatic;
    assert_eq!(update_of(&shop, &platform()), None);
    let images = images(&plan(&shop, &platform()));
    assert!(
        images.iter().all(|image| image.ends_with(":2.0.0")),
        "{images:?}"
    );
}

#[test]
fn a_service_of_a_team_is_marked_with_its_shop() {
    let team = example("team-service.yaml").remove(0);
    let before = run_by(shop("storefront.yaml"), &platform());
    let mut after = before.clone();
    after.spec.version = Some("2.0.0".into());
    let template = |shop: &Storefront| {
        let seen = migrated_by(&newer(), &team, shop);
        let valid = service_deployment::validate(&team, &seen, &newer()).ready();
        marked(&service_deployment::desired(&valid.expect("valid")).items).len()
    };
    assert_eq!((template(&before), template(&after)), (0, 1));
}

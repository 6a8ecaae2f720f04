//! What the Gateway of a shop says of the shop's own routes.

use std::collections::BTreeMap;

use gateway_routes::{api::HTTPRoute, settings::OWN_ROUTES};
use operator_plan::{service_deployment, storefront};

use crate::fixtures::{children, gateway_of, shop, valid_service, valid_shop};

type Own = BTreeMap<String, BTreeMap<String, Vec<String>>>;

/// The routes that the services of a shop make, by the object that controls them.
fn planned(shop: &crds::Storefront) -> Own {
    let mut all = Own::new();
    for service in children(shop) {
        let objects = service_deployment::desired(&valid_service(&service, shop));
        let routes = objects
            .items
            .into_iter()
            .filter(|item| item.key.kind == "HTTPRoute");
        for item in routes {
            let route: HTTPRoute = serde_json::from_value(item.body).expect("a route");
            let owner = route.metadata.owner_references.expect("an owner").remove(0);
            assert_eq!(owner.controller, Some(true));
            assert_eq!(owner.kind, "ServiceDeployment");
            let rules = route.spec.rules.into_iter().flatten();
            let matches = rules.flat_map(|rule| rule.matches.into_iter().flatten());
            let mut paths: Vec<String> = matches
                .filter_map(|one| one.path.and_then(|path| path.value))
                .collect();
            paths.sort();
            let routes = all.entry(owner.name).or_default();
            routes.insert(route.metadata.name.expect("a name"), paths);
        }
    }
    all
}

#[test]
fn the_gateway_names_each_route_that_the_shop_makes_with_its_owner_and_its_paths() {
    for example in ["storefront.yaml", "storefront-full.yaml"] {
        let shop = shop(example);
        let gateway = gateway_of(&storefront::desired(&valid_shop(&shop)));
        let annotations = gateway.metadata.annotations.expect("annotations");
        let mut named: Own = serde_json::from_str(&annotations[OWN_ROUTES]).expect("JSON");
        for paths in named.values_mut().flat_map(BTreeMap::values_mut) {
            paths.sort();
        }
        assert_eq!(named, planned(&shop), "{example}");
    }
}

#[test]
fn a_gateway_of_another_class_is_told_nothing_that_only_ours_reads() {
    let mut shop = shop("storefront.yaml");
    shop.spec.gateway.class_name = "istio".to_owned();
    let gateway = gateway_of(&storefront::desired(&valid_shop(&shop)));
    let annotations = gateway.metadata.annotations.unwrap_or_default();
    assert!(!annotations.contains_key(OWN_ROUTES));
}

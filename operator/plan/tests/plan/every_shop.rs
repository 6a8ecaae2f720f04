//! What holds for every object of every shop, asserted one property at a time: a snapshot shows what is
//! planned for one spec, and not which of it matters.

use std::collections::{BTreeMap, BTreeSet};

use crds::{DeletionPolicy, Storefront};
use operator_plan::{
    Mode, Objects, Planned,
    objects::{OWNER_UID_LABEL, STOREFRONT_LABEL},
    service_deployment, storefront,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{
    fixtures::{children, data_plane, gateway_of, platform, seen, valid_service, valid_shop},
    properties::check,
    restricted::assert_restricted,
    specs::any_shop,
};

/// The plan of a shop, and of all that is made below it.
struct Plans {
    shop: Objects<Planned>,
    below: Vec<Objects<Planned>>,
}

impl Plans {
    fn of(shop: &Storefront) -> Self {
        let planned = storefront::desired(&valid_shop(shop));
        let services = children(shop).into_iter();
        let services =
            services.map(|service| service_deployment::desired(&valid_service(&service, shop)));
        let edge = data_plane(&gateway_of(&planned), shop);
        let below = services.chain([edge]).collect();
        Self {
            shop: planned,
            below,
        }
    }

    fn all(&self) -> impl Iterator<Item = &Planned> {
        let below = self.below.iter().flat_map(|objects| &objects.items);
        self.shop.items.iter().chain(below)
    }

    fn of_kind(&self, kind: &str) -> impl Iterator<Item = &Planned> {
        self.all()
            .filter(move |item| item.key.kind == kind && item.mode != Mode::Keep)
    }

    /// The pod templates, each with the object that has it.
    fn pods(&self) -> Vec<(String, &Value)> {
        let templates = self.all().map(|item| {
            let name = format!("{} {}", item.key.kind, item.key.name);
            (name, &item.body["spec"]["template"])
        });
        templates
            .filter(|(_, template)| template["spec"]["containers"].is_array())
            .collect()
    }
}

/// Whether a selector by equality selects an object with these labels.
fn selects(selector: &Value, labels: &Value) -> bool {
    let mut wanted = selector.as_object().into_iter().flatten();
    wanted.all(|(key, value)| labels[key] == *value)
}

fn policies_of<'a>(plans: &'a Plans, template: &'a Value) -> impl Iterator<Item = &'a Value> {
    let policies = plans
        .of_kind("NetworkPolicy")
        .map(|item| &item.body["spec"]);
    policies.filter(|spec| {
        let labels = &template["metadata"]["labels"];
        selects(&spec["podSelector"]["matchLabels"], labels)
    })
}

fn denies_by_default(policy: &Value) -> bool {
    policy["policyTypes"] == json!(["Ingress", "Egress"])
        && policy["ingress"].is_null()
        && policy["egress"].is_null()
}

/// Everything that the plan calls a secret: what Secrets hold under keys for passwords, tokens and keys.
fn secret_values(shop: &Storefront) -> Vec<String> {
    let fresh = seen(shop).fresh;
    let key = fresh.signing_key.map(|key| key.pem);
    fresh.passwords.into_values().chain(key).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_object_has_a_valid_name_and_labels_and_is_planned_once(shop in any_shop()) {
        let plans = Plans::of(&shop);
        check(&plans.shop)?;
        for below in &plans.below {
            check(below)?;
        }
    }

    #[test]
    fn every_pod_meets_the_restricted_level(shop in any_shop()) {
        for (name, template) in Plans::of(&shop).pods() {
            assert_restricted(&name, &template["spec"]);
        }
    }

    #[test]
    fn no_generated_secret_is_written_outside_of_a_secret(shop in any_shop()) {
        let values = secret_values(&shop);
        prop_assert!(values.len() >= 4);
        for item in Plans::of(&shop).all().filter(|item| item.key.kind != "Secret") {
            let text = item.body.to_string();
            for value in &values {
                prop_assert!(!text.contains(value.as_str()), "{:?} shows {}", item.key, value);
            }
        }
    }

    #[test]
    fn every_pod_of_the_shop_is_denied_all_that_no_policy_allows(shop in any_shop()) {
        let plans = Plans::of(&shop);
        for (name, template) in plans.pods() {
            let labels = &template["metadata"]["labels"];
            if labels[STOREFRONT_LABEL].is_null() {
                // The data plane is the Gateway's and not the shop's: its own policy closes it.
                prop_assert!(policies_of(&plans, template).count() > 0, "{}", name);
                continue;
            }
            let denied = policies_of(&plans, template).any(denies_by_default);
            prop_assert!(denied, "{} is not under the default", name);
        }
    }

    #[test]
    fn every_workload_that_serves_says_who_may_connect(shop in any_shop()) {
        let plans = Plans::of(&shop);
        for (name, template) in plans.pods() {
            if name.starts_with("Job") {
                continue;
            }
            let instance = &template["metadata"]["labels"]["app.kubernetes.io/instance"];
            let of_its_own = policies_of(&plans, template).filter(|policy| {
                let labels = &policy["podSelector"]["matchLabels"];
                labels["app.kubernetes.io/instance"] == *instance
                    || labels["gateway.networking.k8s.io/gateway-name"].is_string()
            });
            let opens = of_its_own.filter(|policy| policy["ingress"].is_array()).count();
            prop_assert!(opens > 0, "{} has no policy of its own", name);
        }
    }

    #[test]
    fn every_service_selects_pods_that_are_planned(shop in any_shop()) {
        let plans = Plans::of(&shop);
        let pods = plans.pods();
        for service in plans.of_kind("Service") {
            let selector = &service.body["spec"]["selector"];
            prop_assert!(selector.is_object(), "{:?}", service.key);
            let is_backed = pods
                .iter()
                .any(|(_, template)| selects(selector, &template["metadata"]["labels"]));
            prop_assert!(is_backed, "{:?} selects nothing", service.key);
        }
    }

    #[test]
    fn every_secret_that_a_pod_mounts_exists(shop in any_shop()) {
        let plans = Plans::of(&shop);
        let mut known: BTreeSet<&str> = plans.all()
            .filter(|item| item.key.kind == "Secret")
            .map(|item| item.key.name.as_str())
            .collect();
        let needs = storefront::needs(&shop);
        known.extend(needs.own.iter().chain(&needs.referenced).map(String::as_str));
        for (name, template) in plans.pods() {
            let volumes = template["spec"]["volumes"].as_array().into_iter().flatten();
            for secret in volumes.filter_map(|volume| volume["secret"]["secretName"].as_str()) {
                // Those of DatabaseBindings are made by these.
                prop_assert!(known.contains(secret) || secret.ends_with("-db"), "{}: {}", name, secret);
            }
        }
    }

    #[test]
    fn everything_belongs_to_its_shop(shop in any_shop()) {
        let uid = shop.metadata.uid.as_deref().expect("stored");
        for item in &Plans::of(&shop).shop.items {
            if item.mode == Mode::Keep {
                continue;
            }
            let meta = &item.body["metadata"];
            prop_assert_eq!(&item.key.namespace, "shops");
            prop_assert_eq!(&meta["labels"][OWNER_UID_LABEL], uid, "{:?}", item.key);
            let owner = &meta["ownerReferences"][0];
            if owner.is_null() {
                // What opens retained data outlives the shop.
                let retained = shop.spec.deletion_policy == DeletionPolicy::Retain;
                prop_assert!(retained && item.key.kind == "Secret", "{:?}", item.key);
                let may_go = storefront::may_be_pruned(&shop, &item.key);
                prop_assert!(!may_go, "{:?} could be made again", item.key);
            } else {
                prop_assert_eq!(&owner["uid"], uid, "{:?}", item.key);
            }
        }
    }

    #[test]
    fn a_shop_that_has_its_secrets_is_planned_as_before(shop in any_shop()) {
        let first = storefront::desired(&valid_shop(&shop));
        let mut world = seen(&shop);
        let read = storefront::needs(&shop).own;
        let secrets = first.items.iter().filter(|item| item.key.kind == "Secret");
        for item in secrets.filter(|item| read.contains(&item.key.name)) {
            let secret: k8s_openapi::api::core::v1::Secret =
                serde_json::from_value(item.body.clone()).expect("a Secret");
            let data = secret.data.unwrap_or_default().into_iter();
            let data: BTreeMap<_, _> = data.map(|(key, value)| (key, value.0)).collect();
            world.own.insert(item.key.name.clone(), data);
        }
        world.fresh = storefront::Fresh::default();
        world.minted = None;
        let valid = storefront::validate(&shop, world, &platform()).ready();
        let again = storefront::desired(&valid.expect("valid"));
        for (before, after) in first.items.iter().zip(&again.items) {
            prop_assert_eq!(&before.body, &after.body);
            prop_assert!(after.mode != Mode::Create, "{:?} exists", after.key);
        }
        prop_assert_eq!(first.items.len(), again.items.len());
    }

    #[test]
    fn a_server_that_the_user_runs_is_not_run_again(shop in any_shop()) {
        let plans = Plans::of(&shop);
        let runs = |part: &str| plans.pods().iter().any(|(name, _)| name.ends_with(part));
        prop_assert_eq!(runs("-postgres"), shop.spec.database.external.is_none());
        prop_assert_eq!(runs("-redis"), shop.spec.cache.external.is_none());
        prop_assert!(runs("-nats"));
    }
}

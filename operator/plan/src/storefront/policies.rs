//! NetworkPolicies of a shop as a whole. Each backing server, ServiceDeployment and Gateway adds its own.

use k8s_openapi::api::networking::v1::NetworkPolicy;

use super::{METRICS_PORT, Valid};
use crate::{
    Objects, Planned, backing,
    network::{self, Flows, allow_from, one},
    objects::STOREFRONT_LABEL,
    pods::label_selector,
};

/// Plans the shop's policies.
pub(super) fn plan(valid: &Valid, objects: &mut Objects<Planned>) {
    objects.apply(&default_deny(valid));
    objects.apply(&basics(valid));
    backing::plan_policies(valid, objects);
}

/// Denies ingress and egress of the shop's pods that no other policy allows.
fn default_deny(valid: &Valid) -> NetworkPolicy {
    let shop = label_selector(one(STOREFRONT_LABEL, valid.name()));
    let flows = Flows {
        ingress: Some(Vec::new()),
        egress: Some(Vec::new()),
    };
    network::policy(valid.meta("default-deny"), shop, flows)
}

/// Allows DNS and the scraping of metrics for every pod of the shop.
fn basics(valid: &Valid) -> NetworkPolicy {
    let shop = label_selector(one(STOREFRONT_LABEL, valid.name()));
    let scrape = allow_from(vec![network::prometheus()], network::tcp(&[METRICS_PORT]));
    let flows = Flows {
        ingress: Some(vec![scrape]),
        egress: Some(vec![network::dns()]),
    };
    network::policy(valid.meta("basics"), shop, flows)
}

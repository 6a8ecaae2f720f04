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

/// Nothing goes in or out of the shop's pods, unless another policy says so.
fn default_deny(valid: &Valid) -> NetworkPolicy {
    let shop = label_selector(one(STOREFRONT_LABEL, valid.name()));
    let flows = Flows {
        ingress: Some(Vec::new()),
        egress: Some(Vec::new()),
    };
    network::policy(valid.meta("default-deny"), shop, flows)
}

/// Every pod of the shop may ask for names, and may be asked for metrics.
fn basics(valid: &Valid) -> NetworkPolicy {
    let shop = label_selector(one(STOREFRONT_LABEL, valid.name()));
    let scrape = allow_from(vec![network::prometheus()], network::tcp(&[METRICS_PORT]));
    let flows = Flows {
        ingress: Some(vec![scrape]),
        egress: Some(vec![network::dns()]),
    };
    network::policy(valid.meta("basics"), shop, flows)
}

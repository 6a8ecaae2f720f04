use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{Stamp, settle};
use crate::ObjectName;
use crate::api::{
    BackendTLSAncestor, BackendTLSPolicy, BackendTLSPolicyStatus, CONTROLLER_NAME, GROUP,
    HTTPBackendRef, HTTPRoute, ParentReference,
};
use crate::attach;
use crate::verdict::Verdict;
use crate::view::View;

impl View<'_> {
    /// The status of a policy that asks for TLS towards backends: refused at each gateway of ours that has routes
    /// to its Services. Entries of other controllers stay as they are.
    pub fn backend_tls_status(
        &self,
        policy: &BackendTLSPolicy,
        now: Timestamp,
    ) -> BackendTLSPolicyStatus {
        let stamp = Stamp {
            now,
            generation: policy.metadata.generation,
        };
        let previous = policy.status.clone().unwrap_or_default().ancestors;
        let is_ours = |entry: &BackendTLSAncestor| entry.controller_name == CONTROLLER_NAME;
        let old = |reference: &ParentReference| {
            let mut entries = previous.iter();
            entries
                .find(|entry| is_ours(entry) && entry.ancestor_ref == *reference)
                .map(|entry| entry.conditions.as_slice())
                .unwrap_or_default()
        };
        let wanted = self.gateways_to(policy).into_iter();
        let ours = wanted.map(|(gateway, services)| {
            let refused = self.refused(&gateway, &services);
            let reference = as_ancestor(gateway);
            BackendTLSAncestor {
                conditions: settle(
                    old(&reference),
                    &["Accepted"],
                    &[("Accepted", refused)],
                    stamp,
                ),
                ancestor_ref: reference,
                controller_name: CONTROLLER_NAME.to_owned(),
            }
        });
        let others = previous.iter().filter(|entry| !is_ours(entry)).cloned();
        BackendTLSPolicyStatus {
            ancestors: others.chain(ours).collect(),
        }
    }

    /// The gateways of ours that have routes to Services of a policy, and to which.
    fn gateways_to(&self, policy: &BackendTLSPolicy) -> BTreeMap<ObjectName, BTreeSet<ObjectName>> {
        let home = policy.metadata.namespace.clone().unwrap_or_default();
        let targets = policy.spec.target_refs.iter();
        let targets: BTreeSet<&String> = targets
            .filter(|target| target.is_service())
            .map(|target| &target.name)
            .collect();
        let target = |route: &HTTPRoute, backend: &HTTPBackendRef| {
            let backend = &backend.backend;
            let namespace = backend.namespace.as_ref();
            let namespace = namespace.or(route.metadata.namespace.as_ref());
            let is_target =
                backend.is_service() && namespace == Some(&home) && targets.contains(&backend.name);
            is_target.then(|| ObjectName::new(home.clone(), backend.name.clone()))
        };
        let mut found: BTreeMap<ObjectName, BTreeSet<ObjectName>> = BTreeMap::new();
        for route in &self.objects.http_routes {
            let rules = route.spec.rules.iter().flatten();
            let backends = rules.flat_map(|rule| rule.backend_refs.iter().flatten());
            let services: BTreeSet<ObjectName> = backends
                .filter_map(|backend| target(route, backend))
                .collect();
            if services.is_empty() {
                continue;
            }
            let parents = route.spec.parent_refs.iter().flatten();
            let gateways = parents.filter_map(|parent| attach::parent_name(route, parent));
            for gateway in gateways.filter(|name| self.gateways.contains_key(name)) {
                let there = found.entry(gateway).or_default();
                there.extend(services.iter().cloned());
            }
        }
        found
    }

    /// What is said of a policy at a gateway that has routes to these Services.
    fn refused(&self, gateway: &ObjectName, services: &BTreeSet<ObjectName>) -> Verdict {
        let is_shops = |service: &&ObjectName| {
            let gateway = self.gateways.get(gateway);
            gateway.is_some_and(|gateway| gateway.has_service(service))
        };
        let (shops, others): (Vec<&ObjectName>, Vec<&ObjectName>) =
            services.iter().partition(is_shops);
        if let (Some(service), true) = (shops.first(), others.is_empty()) {
            return Verdict::no(
                "Conflicted",
                format!(
                    "Service {service} belongs to the shop of this Gateway, which alone decides how it is reached: requests \
                     to it go on as plain HTTP; remove the policy, or target another Service"
                ),
            );
        }
        Verdict::no(
            "Invalid",
            "TLS towards backends is not supported: requests to the Service are answered with 503; remove the policy, or \
             the routes to the Service",
        )
    }
}

fn as_ancestor(gateway: ObjectName) -> ParentReference {
    ParentReference {
        group: Some(GROUP.to_owned()),
        kind: Some("Gateway".to_owned()),
        namespace: Some(gateway.namespace),
        name: gateway.name,
        ..ParentReference::default()
    }
}

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
        let wanted: Vec<ParentReference> = self
            .gateways_to(policy)
            .into_iter()
            .map(as_ancestor)
            .collect();
        let is_ours = |entry: &BackendTLSAncestor| entry.controller_name == CONTROLLER_NAME;
        let old = |reference: &ParentReference| {
            let mut entries = previous.iter();
            entries
                .find(|entry| is_ours(entry) && entry.ancestor_ref == *reference)
                .map(|entry| entry.conditions.as_slice())
                .unwrap_or_default()
        };
        let ours = wanted.iter().map(|reference| BackendTLSAncestor {
            ancestor_ref: reference.clone(),
            controller_name: CONTROLLER_NAME.to_owned(),
            conditions: settle(
                old(reference),
                &["Accepted"],
                &[("Accepted", refused())],
                stamp,
            ),
        });
        let others = previous.iter().filter(|entry| !is_ours(entry)).cloned();
        BackendTLSPolicyStatus {
            ancestors: others.chain(ours).collect(),
        }
    }

    /// The gateways of ours that have routes to the Services of a policy, sorted.
    fn gateways_to(&self, policy: &BackendTLSPolicy) -> Vec<ObjectName> {
        let home = policy.metadata.namespace.clone().unwrap_or_default();
        let is_target = |route: &HTTPRoute, backend: &HTTPBackendRef| {
            let backend = &backend.backend;
            let namespace = backend.namespace.as_ref();
            let namespace = namespace.or(route.metadata.namespace.as_ref());
            backend.is_service()
                && namespace == Some(&home)
                && policy
                    .spec
                    .target_refs
                    .iter()
                    .any(|target| target.is_service() && target.name == backend.name)
        };
        let routes = self.objects.http_routes.iter().filter(|route| {
            let rules = route.spec.rules.iter().flatten();
            let mut backends = rules.flat_map(|rule| rule.backend_refs.iter().flatten());
            backends.any(|backend| is_target(route, backend))
        });
        let mut names: Vec<ObjectName> = routes
            .flat_map(|route| {
                let parents = route.spec.parent_refs.iter().flatten();
                parents.filter_map(move |parent| attach::parent_name(route, parent))
            })
            .filter(|name| self.gateways.contains_key(name))
            .collect();
        names.sort();
        names.dedup();
        names
    }
}

fn refused() -> Verdict {
    Verdict::no(
        "Invalid",
        "TLS towards backends is not supported: requests to the Service are answered with 503; remove the policy, or \
         the routes to the Service",
    )
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

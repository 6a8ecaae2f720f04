//! HTTPRoutes and the token policies in front of them: one pair for each kind of caller, because a
//! policy governs a whole route in every implementation.

use std::collections::{BTreeMap, BTreeSet};

use crds::{
    AuthMode, JwtMode, JwtPolicy, JwtPolicySpec, OtherHosts, PolicyTargetRef, Route,
    ServiceDeployment, StorefrontSpec,
};
use gateway_routes::api::{
    BackendObjectReference, GROUP, HTTPBackendRef, HTTPPathMatch, HTTPRoute, HTTPRouteMatch,
    HTTPRouteRule, HTTPRouteSpec, ParentReference,
};

use super::valid::{Taken, Valid};
use crate::{
    Objects, Planned, names,
    storefront::{SERVICE_PORT, issuer},
};

/// Callers that are accepted: the paths of a workload are grouped by this.
type Callers = (AuthMode, BTreeSet<String>);

/// Plans each token policy before its route, so that no path is open in between.
pub(super) fn plan(valid: &Valid, objects: &mut Objects<Planned>) {
    let mut groups: BTreeMap<Callers, Vec<&str>> = BTreeMap::new();
    for route in served(&valid.service, &valid.taken) {
        let callers = (route.auth, route.roles.iter().cloned().collect());
        groups.entry(callers).or_default().push(&route.path);
    }
    for callers in groups.keys().filter(|(auth, _)| *auth != AuthMode::Public) {
        objects.apply(&jwt_policy(valid, callers));
    }
    for (callers, paths) in &groups {
        objects.apply(&http_route(valid, callers, paths));
    }
}

/// The routes without those whose path an older workload serves.
fn served<'a>(
    service: &'a ServiceDeployment,
    taken: &'a Taken,
) -> impl Iterator<Item = &'a Route> + use<'a> {
    let routes = service.spec.routes.iter();
    routes.filter(|route| !taken.contains_key(&route.path))
}

/// Names of the planned routes.
pub(super) fn names_of(service: &ServiceDeployment, taken: &Taken) -> BTreeSet<String> {
    let base = service.metadata.name.as_deref().unwrap_or_default();
    served(service, taken)
        .map(|r| name(base, &(r.auth, r.roles.iter().cloned().collect())))
        .collect()
}

fn name(base: &str, (auth, roles): &Callers) -> String {
    names::route(base, *auth, roles)
}

fn jwt_policy(valid: &Valid, callers: &Callers) -> JwtPolicy {
    let name = name(valid.name(), callers);
    let (namespace, shop) = (&valid.scope.namespace, valid.shop());
    let mut policy = JwtPolicy::new(
        &name,
        JwtPolicySpec {
            target_refs: vec![PolicyTargetRef {
                group: GROUP.to_owned(),
                kind: "HTTPRoute".into(),
                name: name.clone(),
                section_name: None,
            }],
            issuer: issuer(&valid.storefront),
            audiences: vec![shop.to_owned()],
            jwks_uri: format!(
                "http://{shop}-auth.{namespace}.svc:{SERVICE_PORT}/.well-known/jwks.json"
            ),
            mode: match callers.0 {
                AuthMode::Required => JwtMode::Required,
                AuthMode::Optional | AuthMode::Public => JwtMode::Optional,
            },
            roles: callers.1.iter().cloned().collect(),
            claim_to_headers: Vec::new(),
        },
    );
    policy.metadata = valid.scope.meta(&name, valid.app(), valid.name());
    policy
}

fn http_route(valid: &Valid, callers: &Callers, paths: &[&str]) -> HTTPRoute {
    let name = name(valid.name(), callers);
    let mut paths = paths.to_vec();
    paths.sort_unstable();
    paths.dedup();
    // Eight matches are allowed in a rule, sixteen rules in a route: one rule for each path would be short of room.
    let rules = paths.chunks(8).map(|chunk| HTTPRouteRule {
        matches: Some(chunk.iter().map(|path| prefix(path)).collect()),
        backend_refs: Some(vec![HTTPBackendRef {
            backend: BackendObjectReference {
                group: Some(String::new()),
                kind: Some("Service".into()),
                name: valid.name().to_owned(),
                namespace: None,
                port: u16::try_from(SERVICE_PORT).ok(),
            },
            weight: Some(1),
            ..HTTPBackendRef::default()
        }]),
        ..HTTPRouteRule::default()
    });
    let mut route = HTTPRoute::new(
        &name,
        HTTPRouteSpec {
            parent_refs: Some(vec![ParentReference {
                group: Some(GROUP.to_owned()),
                kind: Some("Gateway".into()),
                name: valid.shop().to_owned(),
                ..ParentReference::default()
            }]),
            hostnames: hostnames(&valid.storefront.spec),
            rules: Some(rules.collect()),
            ..HTTPRouteSpec::default()
        },
    );
    route.metadata = valid.scope.meta(&name, valid.app(), valid.name());
    route
}

/// A route without hosts takes them from the listeners it is attached to, one of which has none
/// where the shop accepts other hosts.
fn hostnames(shop: &StorefrontSpec) -> Option<Vec<String>> {
    match shop.gateway.other_hosts {
        OtherHosts::Refuse => Some(shop.hostnames.clone()),
        OtherHosts::Accept => None,
    }
}

fn prefix(path: &str) -> HTTPRouteMatch {
    HTTPRouteMatch {
        path: Some(HTTPPathMatch {
            type_: Some("PathPrefix".into()),
            value: Some(path.to_owned()),
        }),
        ..HTTPRouteMatch::default()
    }
}

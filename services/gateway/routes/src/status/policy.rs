use std::collections::BTreeSet;

use crds::{
    JwtPolicy, PolicyAncestor, PolicyParentRef, PolicyStatus, PolicyTargetRef, RateLimitPolicy,
};
use jiff::Timestamp;
use kube::ResourceExt;

use super::{Stamp, settle};
use crate::ObjectName;
use crate::api::{CONTROLLER_NAME, Condition, GROUP};
use crate::attach;
use crate::policy::{JwtSettings, Limit, Policies, key_service};
use crate::verdict::Verdict;
use crate::view::{GatewayView, View};

const ACCEPTED: &str = "Accepted";
/// Only there while it is true.
const KEYS_STALE: &str = "KeysStale";

impl View<'_> {
    /// The status of a JWT policy: one entry for each target.
    pub fn jwt_policy_status(&self, policy: &JwtPolicy, now: Timestamp) -> PolicyStatus {
        let stamp = Stamp {
            now,
            generation: policy.metadata.generation,
        };
        let policies = Policies::new(self.objects);
        let checked = JwtSettings::read(policy);
        let keyless = checked.as_ref().ok().and_then(|it| self.keyless(it));
        let judge = |target: &PolicyTargetRef| {
            if let Some(verdict) = self.target_problem(&ObjectName::of(policy), target) {
                return verdict;
            }
            let rival = match self.governs_shop(policy, target) {
                None => policies.rival(policy, target),
                Some(true) => None,
                Some(false) => return of_shop(target),
            };
            match (&checked, rival) {
                (Err(why), _) => Verdict::no(
                    "Invalid",
                    format!("{why}; requests to the target are refused"),
                ),
                (Ok(_), Some(rival)) => Verdict::no(
                    "Conflicted",
                    format!("the older JwtPolicy {rival} already governs this target"),
                ),
                (Ok(_), None) => match &keyless {
                    None => {
                        applied(self.gateway_of(&policy.namespace().unwrap_or_default(), target))
                    }
                    Some(why) => keys_unavailable(why),
                },
            }
        };
        let stale = checked.as_ref().ok().and_then(|it| self.stale(it));
        let verdicts = |target: &PolicyTargetRef| -> Vec<(&'static str, Verdict)> {
            let accepted = judge(target);
            let stale = stale.clone().filter(|_| accepted.ok);
            let stale = stale.map(|stale| (KEYS_STALE, stale));
            [(ACCEPTED, accepted)].into_iter().chain(stale).collect()
        };
        settle_ancestors(
            policy.status.as_ref(),
            &policy.spec.target_refs,
            verdicts,
            stamp,
        )
    }

    /// The status of a rate limit policy: one entry for each target.
    pub fn rate_limit_policy_status(
        &self,
        policy: &RateLimitPolicy,
        now: Timestamp,
    ) -> PolicyStatus {
        let stamp = Stamp {
            now,
            generation: policy.metadata.generation,
        };
        let checked = Limit::read_all(policy);
        let judge = |target: &PolicyTargetRef| {
            if let Some(verdict) = self.target_problem(&ObjectName::of(policy), target) {
                return verdict;
            }
            let namespace = policy.metadata.namespace.as_deref().unwrap_or_default();
            if !self.shops_of(namespace, target).is_empty() {
                return limits_of_shop(target);
            }
            let gateway = self.gateway_of(namespace, target);
            match &checked {
                Err(why) => Verdict::no("Invalid", why.clone()),
                Ok(_) if gateway.is_some_and(|it| it.is_shops(policy)) => {
                    Verdict::yes("Accepted", "The policy is applied")
                }
                Ok(_) => applied(gateway),
            }
        };
        settle_ancestors(
            policy.status.as_ref(),
            &policy.spec.target_refs,
            |target| vec![(ACCEPTED, judge(target))],
            stamp,
        )
    }

    /// The key sets of the policies that are not a shop's own: whether they can be used is known to data planes only.
    /// Those of a shop are its own auth's, whose readiness the shop reports.
    pub fn foreign_key_sets(&self) -> BTreeSet<String> {
        let mut policies = self.objects.jwt_policies.iter().collect::<Vec<_>>();
        policies.retain(|policy| !self.gateways.values().any(|it| it.own.has(&***policy)));
        let settings = policies
            .into_iter()
            .filter_map(|policy| JwtSettings::read(policy).ok());
        settings.map(|settings| settings.jwks_uri).collect()
    }

    /// Why a policy can let nobody with a token through, if that is so.
    fn keyless(&self, settings: &JwtSettings) -> Option<String> {
        let service = key_service(settings).filter(|service| !self.has_service(service));
        if let Some(service) = service {
            return Some(format!("Service {service} does not exist"));
        }
        self.objects
            .unusable_key_sets
            .get(&settings.jwks_uri)
            .cloned()
    }

    /// That the keys of a policy may be old, if that is so: they could not be fetched again.
    fn stale(&self, settings: &JwtSettings) -> Option<Verdict> {
        let why = self.objects.stale_key_sets.get(&settings.jwks_uri)?;
        let what = format!(
            "spec.jwksUri: {why}; the keys that were fetched before stay in use, and tokens that are signed with newer \
             ones are refused"
        );
        Some(Verdict::yes("RefreshFailed", what))
    }

    /// Whether a policy governs a target of a shop: a route of the shop obeys the shop's own policy alone. `None` of
    /// other targets.
    fn governs_shop(&self, policy: &JwtPolicy, target: &PolicyTargetRef) -> Option<bool> {
        let gateways = self.shops_of(&policy.namespace().unwrap_or_default(), target);
        let has_its_name = policy.metadata.name.as_ref() == Some(&target.name);
        let governs = |gateway: &GatewayView<'_>| {
            has_its_name && target.section_name.is_none() && gateway.own.has(policy)
        };
        gateways
            .into_iter()
            .map(governs)
            .reduce(|one, other| one && other)
    }

    /// The Gateways of shops that the target is a route of.
    fn shops_of(&self, namespace: &str, target: &PolicyTargetRef) -> Vec<&GatewayView<'_>> {
        let name = ObjectName::new(namespace, target.name.clone());
        let route = self.routes.get(&name);
        let Some(route) = route.filter(|_| target.kind == "HTTPRoute") else {
            return Vec::new();
        };
        let parents = route.spec.parent_refs.iter().flatten();
        parents
            .filter_map(|parent| self.gateways.get(&attach::parent_name(route, parent)?))
            .filter(|gateway| gateway.own.has(*route))
            .collect()
    }

    /// The Gateway that is the target, if it is one.
    fn gateway_of(&self, namespace: &str, target: &PolicyTargetRef) -> Option<&GatewayView<'_>> {
        let name = ObjectName::new(namespace, target.name.clone());
        self.gateways
            .get(&name)
            .filter(|_| target.kind == "Gateway")
    }

    /// The reason why a target is not one of ours, if it is not.
    fn target_problem(&self, policy: &ObjectName, target: &PolicyTargetRef) -> Option<Verdict> {
        let name = ObjectName::new(policy.namespace.clone(), target.name.clone());
        let missing = |what: String| Some(Verdict::no("TargetNotFound", what));
        match (target.group.as_str(), target.kind.as_str()) {
            (GROUP, "HTTPRoute") => {
                let Some(route) = self.routes.get(&name) else {
                    return missing(format!("HTTPRoute {name} does not exist"));
                };
                let mut parents = route.spec.parent_refs.iter().flatten();
                let is_ours = parents.any(|parent| {
                    attach::parent_name(route, parent)
                        .is_some_and(|gateway| self.gateways.contains_key(&gateway))
                });
                if !is_ours {
                    return missing(format!("HTTPRoute {name} has no gateway of ours as parent"));
                }
                let section = target.section_name.as_ref()?;
                let mut rules = route.spec.rules.iter().flatten();
                if rules.any(|rule| rule.name.as_ref() == Some(section)) {
                    return None;
                }
                missing(format!("HTTPRoute {name} has no rule {section}"))
            }
            (GROUP, "Gateway") => {
                let Some(gateway) = self.gateways.get(&name) else {
                    return missing(format!(
                        "Gateway {name} does not exist or is not of our class"
                    ));
                };
                let section = target.section_name.as_ref()?;
                if gateway
                    .listeners
                    .iter()
                    .any(|view| view.listener.name == *section)
                {
                    return None;
                }
                missing(format!("Gateway {name} has no listener {section}"))
            }
            (_, kind) => Some(Verdict::no(
                "Invalid",
                format!("targets of kind {kind} are not supported"),
            )),
        }
    }
}

/// What is said of a policy that nothing prevents, and whose target is this Gateway, or a route.
fn applied(gateway: Option<&GatewayView<'_>>) -> Verdict {
    if gateway.is_some_and(|gateway| !gateway.own.is_empty()) {
        let what = "The policy is applied to the routes that are not the shop's own";
        return Verdict::yes("Accepted", what);
    }
    Verdict::yes("Accepted", "The policy is applied")
}

fn keys_unavailable(why: &str) -> Verdict {
    Verdict::no(
        "KeysUnavailable",
        format!(
            "spec.jwksUri: {why}, so no token can be verified; requests that need one are refused until this is mended"
        ),
    )
}

/// Of a policy that is not a shop's, and targets a route of the shop.
fn of_shop(target: &PolicyTargetRef) -> Verdict {
    Verdict::no(
        "Conflicted",
        format!(
            "HTTPRoute {} belongs to a shop, which alone decides about tokens on its own routes; target another route",
            target.name
        ),
    )
}

/// Of a rate limit policy that targets a route of a shop.
fn limits_of_shop(target: &PolicyTargetRef) -> Verdict {
    Verdict::no(
        "Conflicted",
        format!(
            "HTTPRoute {} belongs to a shop, which alone limits the requests to its own routes; add the limit to \
             spec.gateway.rateLimits of the Storefront, or target another route",
            target.name
        ),
    )
}

fn settle_ancestors(
    previous: Option<&PolicyStatus>,
    targets: &[PolicyTargetRef],
    judge: impl Fn(&PolicyTargetRef) -> Vec<(&'static str, Verdict)>,
    stamp: Stamp,
) -> PolicyStatus {
    let previous = previous
        .map(|status| status.ancestors.as_slice())
        .unwrap_or_default();
    let wanted: Vec<PolicyParentRef> = targets.iter().map(as_ancestor).collect();
    let is_ours = |entry: &PolicyAncestor| entry.controller_name == CONTROLLER_NAME;
    let mut ancestors: Vec<PolicyAncestor> = previous
        .iter()
        .filter(|entry| !is_ours(entry) || wanted.contains(&entry.ancestor_ref))
        .cloned()
        .collect();
    for (target, ancestor_ref) in targets.iter().zip(wanted) {
        let verdicts = judge(target);
        let index = ancestors
            .iter()
            .position(|entry| is_ours(entry) && entry.ancestor_ref == ancestor_ref)
            .unwrap_or_else(|| {
                let controller_name = CONTROLLER_NAME.to_owned();
                ancestors.push(PolicyAncestor {
                    ancestor_ref,
                    controller_name,
                    conditions: Vec::new(),
                });
                ancestors.len() - 1
            });
        if let Some(entry) = ancestors.get_mut(index) {
            let old: Vec<Condition> = entry.conditions.iter().cloned().map(widen).collect();
            let new = settle(&old, &[ACCEPTED, KEYS_STALE], &verdicts, stamp);
            entry.conditions = new.into_iter().map(narrow).collect();
        }
    }
    PolicyStatus { ancestors }
}

fn as_ancestor(target: &PolicyTargetRef) -> PolicyParentRef {
    PolicyParentRef {
        group: target.group.clone(),
        kind: target.kind.clone(),
        namespace: None,
        name: target.name.clone(),
        section_name: target.section_name.clone(),
    }
}

/// Our CRDs have a condition type with a schema; it holds the same as the standard one.
fn widen(condition: crds::Condition) -> Condition {
    Condition {
        type_: condition.type_,
        status: condition.status,
        reason: condition.reason,
        message: condition.message,
        observed_generation: condition.observed_generation,
        last_transition_time: condition.last_transition_time,
    }
}

fn narrow(condition: Condition) -> crds::Condition {
    crds::Condition {
        type_: condition.type_,
        status: condition.status,
        reason: condition.reason,
        message: condition.message,
        observed_generation: condition.observed_generation,
        last_transition_time: condition.last_transition_time,
    }
}

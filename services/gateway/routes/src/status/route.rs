use jiff::Timestamp;

use super::{Stamp, settle};
use crate::api::{
    CONTROLLER_NAME, HTTPRoute, HTTPRouteRule, HTTPRouteStatus, ParentReference, RouteParentStatus,
};
use crate::attach;
use crate::compile;
use crate::matcher;
use crate::unsupported;
use crate::verdict::Verdict;
use crate::view::{GatewayView, View};

const TYPES: [&str; 3] = ["Accepted", "ResolvedRefs", "PartiallyInvalid"];

impl View<'_> {
    /// The status of a route. Entries of other controllers stay as they are; ours are there for
    /// exactly the parents that are gateways of ours.
    pub fn route_status(&self, route: &HTTPRoute, now: Timestamp) -> HTTPRouteStatus {
        let previous = route.status.clone().unwrap_or_default().parents;
        let stamp = Stamp {
            now,
            generation: route.metadata.generation,
        };
        let mut wanted: Vec<(&ParentReference, Vec<(&str, Verdict)>)> = Vec::new();
        for parent in route.spec.parent_refs.iter().flatten() {
            if wanted.iter().any(|(known, _)| *known == parent) {
                continue;
            }
            let gateway =
                attach::parent_name(route, parent).and_then(|name| self.gateways.get(&name));
            if let Some(gateway) = gateway {
                let attachment = attach::attach(route, parent, gateway, self.objects);
                wanted.push((parent, self.verdicts(route, gateway, attachment.verdict)));
            }
        }
        let is_ours = |entry: &RouteParentStatus| entry.controller_name == CONTROLLER_NAME;
        let mut parents: Vec<RouteParentStatus> = previous
            .iter()
            .filter(|entry| {
                !is_ours(entry)
                    || wanted
                        .iter()
                        .any(|(parent, _)| **parent == entry.parent_ref)
            })
            .cloned()
            .collect();
        for (parent, verdicts) in wanted {
            let mine = parents
                .iter_mut()
                .find(|entry| is_ours(entry) && entry.parent_ref == *parent);
            match mine {
                Some(entry) => {
                    entry.conditions = settle(&entry.conditions, &TYPES, &verdicts, stamp);
                }
                None => parents.push(RouteParentStatus {
                    parent_ref: parent.clone(),
                    controller_name: CONTROLLER_NAME.to_owned(),
                    conditions: settle(&[], &TYPES, &verdicts, stamp),
                }),
            }
        }
        HTTPRouteStatus { parents }
    }

    fn verdicts(
        &self,
        route: &HTTPRoute,
        gateway: &GatewayView<'_>,
        attached: Verdict,
    ) -> Vec<(&'static str, Verdict)> {
        let rules = route.spec.rules.as_deref().unwrap_or_default();
        let problems: Vec<(&'static str, String)> = rules
            .iter()
            .enumerate()
            .filter_map(|(index, rule)| {
                let (reason, why) = problem(route, gateway, rule)?;
                Some((reason, format!("rules[{index}]: {why}")))
            })
            .collect();
        let resolved = ("ResolvedRefs", self.references(route, gateway));
        if !attached.ok {
            return vec![("Accepted", attached), resolved];
        }
        if let Err(why) = unsupported::of_route(route) {
            return vec![("Accepted", Verdict::no("UnsupportedValue", why)), resolved];
        }
        let Some((reason, _)) = problems.first() else {
            return vec![("Accepted", attached), resolved];
        };
        let why: Vec<&str> = problems.iter().map(|(_, why)| why.as_str()).collect();
        let why = why.join("; ");
        if problems.len() == rules.len() {
            return vec![("Accepted", Verdict::no(reason, why)), resolved];
        }
        let partial = Verdict::yes(reason, format!("Dropped Rule: {why}"));
        vec![
            ("Accepted", attached),
            resolved,
            ("PartiallyInvalid", partial),
        ]
    }

    fn references(&self, route: &HTTPRoute, gateway: &GatewayView<'_>) -> Verdict {
        route
            .spec
            .rules
            .iter()
            .flatten()
            .flat_map(|rule| rule.backend_refs.iter().flatten())
            .find_map(|backend| match self.backend(route, backend) {
                Ok((service, port)) => self.asks_for_tls(gateway, &service, port),
                Err(why) => Some(why),
            })
            .unwrap_or_else(|| Verdict::yes("ResolvedRefs", "All references are resolved"))
    }
}

/// Why a rule is not served at a gateway as it is written, if it is not.
fn problem(
    route: &HTTPRoute,
    gateway: &GatewayView<'_>,
    rule: &HTTPRouteRule,
) -> Option<(&'static str, String)> {
    if let Err(why) = compile::check(rule) {
        return Some(("UnsupportedValue", why));
    }
    let matches = matcher::read_all(rule).unwrap_or_default();
    let taken = gateway.own.check(route, &matches).err();
    taken.map(|why| ("PathTaken", why))
}

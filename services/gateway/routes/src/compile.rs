//! From a snapshot to the table of one gateway.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crds::RateLimitPolicy;

use crate::ObjectName;
use crate::api::{HTTPBackendRef, HTTPRoute, HTTPRouteRule};
use crate::attach;
use crate::endpoints::Endpoints;
use crate::filter::Filters;
use crate::hostname::Pattern;
use crate::listener::ListenerView;
use crate::matcher::{self, Match, PathMatch};
use crate::objects::Objects;
use crate::own::OwnRoutes;
use crate::policy::{Place, Policies};
use crate::rule::{Backends, Choice, RouteRule, Target, timeouts};
use crate::settings::Settings;
use crate::table::{
    Candidate, Cluster, HostMap, ListenerTable, Order, PathIndex, PortTable, Table,
};
use crate::unsupported;
use crate::view::{GatewayView, View};

impl Table {
    /// Compiles what `gateway` serves. It cannot fail: an invalid object is left out and its conditions say so; a
    /// gateway that is not in the snapshot serves nothing.
    pub fn compile(objects: &Objects, gateway: &ObjectName) -> Self {
        let view = View::new(objects);
        let policies = Policies::new(objects);
        let mut table = Self {
            gateway: gateway.clone(),
            identity_headers: policies.identity_headers(),
            ..Self::default()
        };
        let Some(own) = view.gateways.get(gateway) else {
            return table;
        };
        table.settings = Settings::lenient(own.gateway);
        let mut compiler = Compiler {
            view: &view,
            policies,
            endpoints: Endpoints::new(&objects.endpoint_slices, &objects.services),
            clusters: Clusters::default(),
            gateway,
        };
        let mut paths: Vec<HostMap<PathIndex>> =
            own.listeners.iter().map(|_| HostMap::default()).collect();
        let mut attached: Vec<Vec<&HTTPRoute>> = own.listeners.iter().map(|_| Vec::new()).collect();
        for route in &objects.http_routes {
            for index in compiler.listeners(route, own) {
                attached[index].push(route);
            }
        }
        for (index, routes) in attached.into_iter().enumerate() {
            let place = (own, own.listeners[index].listener.name.as_str());
            let hosts = hosts_of(&own.own, &routes);
            for route in routes {
                compiler.add_route(route, place, &hosts, &mut paths[index]);
            }
        }
        for (listener, mut routes) in own.listeners.iter().zip(paths) {
            routes.values_mut().for_each(PathIndex::sort);
            if listener.is_servable() {
                table.add_listener(listener, routes);
            }
        }
        table.clusters = compiler.clusters.list;
        table
    }

    fn add_listener(&mut self, view: &ListenerView<'_>, routes: HostMap<PathIndex>) {
        let port = view.listener.port;
        let is_tls = view.is_tls();
        let table = ListenerTable {
            name: view.listener.name.as_str().into(),
            certificates: view.certificates.clone(),
            routes,
        };
        let entry = self.ports.entry(port).or_insert_with(|| PortTable {
            port,
            is_tls,
            listeners: HostMap::default(),
        });
        entry
            .listeners
            .slot(view.hostname.clone(), || Arc::new(table));
    }
}

struct Compiler<'v, 'a> {
    view: &'v View<'a>,
    policies: Policies<'a>,
    endpoints: Endpoints<'a>,
    clusters: Clusters,
    gateway: &'v ObjectName,
}

#[derive(Default)]
struct Clusters {
    list: Vec<Cluster>,
    index: HashMap<(ObjectName, u16), usize>,
}

impl Compiler<'_, '_> {
    /// The listeners of the gateway that a route attaches to by any of its parents.
    fn listeners(&self, route: &HTTPRoute, own: &GatewayView<'_>) -> Vec<usize> {
        let mut found: Vec<usize> = route
            .spec
            .parent_refs
            .iter()
            .flatten()
            .filter(|parent| attach::parent_name(route, parent).as_ref() == Some(self.gateway))
            .flat_map(|parent| attach::attach(route, parent, own, self.view.objects).listeners)
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    fn add_route(
        &mut self,
        route: &HTTPRoute,
        (gateway, listener): (&GatewayView<'_>, &str),
        others: &HashSet<Pattern>,
        paths: &mut HostMap<PathIndex>,
    ) {
        let name = ObjectName::of(route);
        let is_own = gateway.own.has(route);
        let mut hosts = attach::hostnames(route);
        if is_own {
            // The most specific host is decided first, and another route may have a more specific one.
            let below = |host: &&Pattern| hosts.iter().any(|own| own.is_wider_than(host));
            let below: Vec<Pattern> = others.iter().filter(below).cloned().collect();
            hosts.extend(below);
        }
        let created = route.metadata.creation_timestamp.as_ref();
        let created = created.map_or(i64::MAX, |time| time.0.as_second());
        for (position, source) in route.spec.rules.iter().flatten().enumerate() {
            // A rule with an unsupported match, or with a path of a shop, is left out; the route's condition reports
            // it.
            let Ok(matches) = matcher::read_all(source) else {
                continue;
            };
            if gateway.own.check(route, &matches).is_err() {
                continue;
            }
            let mut rule = self.rule(route, gateway, source);
            let place = Place {
                gateway: self.gateway,
                listener,
                route: &name,
                rule: source.name.as_deref(),
            };
            // Others' policies have no say over the routes of a shop.
            (rule.guard, rule.limits) = if is_own {
                let shops = |policy: &RateLimitPolicy| gateway.is_shops(policy);
                let guard = self.policies.own_guard(&name, &gateway.own);
                (guard, self.policies.limits(place, shops))
            } else {
                let limits = self.policies.limits(place, |_| true);
                (self.policies.guard(place), limits)
            };
            let rule = Arc::new(rule);
            for host in &hosts {
                let index = paths.slot(host.clone(), PathIndex::default);
                for (number, one) in matches.iter().enumerate() {
                    let order = Order {
                        without_method: one.rest.method.is_none(),
                        headers: Reverse(one.rest.headers.len()),
                        parameters: Reverse(one.rest.query.len()),
                        created,
                        route: name.clone(),
                        position: (position, number),
                    };
                    insert(
                        index,
                        one,
                        Candidate {
                            predicates: one.rest.clone(),
                            rule: rule.clone(),
                            order,
                        },
                    );
                }
            }
        }
    }

    /// A rule without its policies.
    fn rule(
        &mut self,
        route: &HTTPRoute,
        gateway: &GatewayView<'_>,
        source: &HTTPRouteRule,
    ) -> RouteRule {
        let name = ObjectName::of(route);
        let filters = Filters::read(source.filters.as_deref());
        let timeouts = timeouts(source.timeouts.as_ref());
        let choices: Vec<Choice> = source
            .backend_refs
            .iter()
            .flatten()
            .filter_map(|backend| self.choice(route, gateway, backend))
            .collect();
        let is_broken = check(source).is_err() || unsupported::of_route(route).is_err();
        let (request_timeout, backend_timeout) = timeouts.unwrap_or_default();
        RouteRule {
            label: name.to_string().into(),
            route: name,
            is_broken,
            filters: filters.unwrap_or_default(),
            backends: Backends::new(choices),
            request_timeout,
            backend_timeout,
            guard: None,
            limits: Vec::new(),
        }
    }

    fn choice(
        &mut self,
        route: &HTTPRoute,
        gateway: &GatewayView<'_>,
        source: &HTTPBackendRef,
    ) -> Option<Choice> {
        let weight = u32::try_from(source.weight.unwrap_or(1)).ok()?;
        let target = match self.view.backend(route, source) {
            Err(_) => Target::Invalid,
            Ok((service, port)) if self.view.asks_for_tls(gateway, &service, port).is_some() => {
                Target::NeedsTls
            }
            Ok((service, port)) => {
                let number = source.backend.port.unwrap_or_default();
                let Clusters { list, index } = &mut self.clusters;
                let endpoints = &self.endpoints;
                Target::Cluster(*index.entry((service.clone(), number)).or_insert_with(|| {
                    let (endpoints, is_ready) = endpoints.usable(&service, port);
                    list.push(Cluster {
                        service,
                        port: number,
                        endpoints,
                        is_ready,
                    });
                    list.len() - 1
                }))
            }
        };
        let filters = Filters::read_backend(source.filters.as_deref()).unwrap_or_default();
        Some(Choice {
            target,
            filters,
            weight,
        })
    }
}

/// The hosts of all routes of a listener, where it is a shop's.
fn hosts_of(own: &OwnRoutes, routes: &[&HTTPRoute]) -> HashSet<Pattern> {
    if own.is_empty() {
        return HashSet::new();
    }
    let hosts = routes.iter().flat_map(|route| attach::hostnames(route));
    hosts.collect()
}

fn insert(index: &mut PathIndex, one: &Match, candidate: Candidate) {
    match &one.path {
        PathMatch::Exact(path) => index.insert_exact(path.clone(), candidate),
        PathMatch::Prefix(prefix) => index.insert_prefix(prefix, candidate),
    }
}

/// Whether everything in a rule is supported. A rule with an unsupported match is left out, one with anything
/// else that is unsupported answers 500.
pub(crate) fn check(source: &HTTPRouteRule) -> Result<(), String> {
    unsupported::of_rule(source)?;
    matcher::read_all(source)?;
    timeouts(source.timeouts.as_ref())?;
    let filters = Filters::read(source.filters.as_deref())?;
    if filters.redirect.is_some()
        && source
            .backend_refs
            .as_ref()
            .is_some_and(|refs| !refs.is_empty())
    {
        return Err("a rule with RequestRedirect cannot have backends".to_owned());
    }
    for backend in source.backend_refs.iter().flatten() {
        Filters::read_backend(backend.filters.as_deref())?;
    }
    Ok(())
}

//! Which listeners a route attaches to.

use std::collections::BTreeMap;

use crate::ObjectName;
use crate::api::{GROUP, Gateway, HTTPRoute, LabelSelector, ParentReference, RouteNamespaces};
use crate::hostname::Pattern;
use crate::listener::ListenerView;
use crate::objects::{Objects, Scope};
use crate::verdict::Verdict;
use crate::view::GatewayView;

/// The outcome for one `parentRef`.
#[derive(Debug)]
pub(crate) struct Attachment {
    pub verdict: Verdict,
    /// Indices into the gateway's listeners.
    pub listeners: Vec<usize>,
}

/// The gateway that a `parentRef` of `route` names.
pub(crate) fn parent_name(route: &HTTPRoute, parent: &ParentReference) -> Option<ObjectName> {
    let home = || route.metadata.namespace.clone().unwrap_or_default();
    parent.is_gateway().then(|| {
        ObjectName::new(
            parent.namespace.clone().unwrap_or_else(home),
            parent.name.clone(),
        )
    })
}

/// Narrows the listeners down, one reason at a time.
pub(crate) fn attach(
    route: &HTTPRoute,
    parent: &ParentReference,
    gateway: &GatewayView<'_>,
    objects: &Objects,
) -> Attachment {
    let listeners = &gateway.listeners;
    let named: Vec<usize> = keep(0..listeners.len(), |index| {
        let listener = listeners[index].listener;
        parent
            .section_name
            .as_ref()
            .is_none_or(|name| *name == listener.name)
            && parent.port.is_none_or(|port| port == listener.port)
    });
    if named.is_empty() {
        return refuse(
            "NoMatchingParent",
            "no listener has this section name and port",
        );
    }
    if objects.scope == Scope::Namespace
        && gateway.gateway.metadata.namespace != route.metadata.namespace
    {
        return refuse(
            "NotAllowedByListeners",
            "a Gateway of this class serves routes of its own namespace only; create the route there",
        );
    }
    let allowed = keep(named, |index| {
        allows(gateway.gateway, &listeners[index], route, objects)
    });
    if allowed.is_empty() {
        return refuse(
            "NotAllowedByListeners",
            "no listener allows routes of this kind from here",
        );
    }
    let patterns = hostnames(route);
    let hosted = keep(allowed, |index| {
        patterns
            .iter()
            .any(|pattern| pattern.intersects(&listeners[index].hostname))
    });
    if hosted.is_empty() {
        return refuse(
            "NoMatchingListenerHostname",
            "no hostname is one of a listener's",
        );
    }
    let valid = keep(hosted, |index| listeners[index].is_valid());
    if valid.is_empty() {
        return refuse(
            "NoMatchingParent",
            "the listeners that fit are themselves not accepted",
        );
    }
    Attachment {
        verdict: Verdict::yes("Accepted", "The route is accepted"),
        listeners: valid,
    }
}

/// The hosts of a route; none means every host.
pub(crate) fn hostnames(route: &HTTPRoute) -> Vec<Pattern> {
    match route.spec.hostnames.as_deref() {
        None | Some([]) => vec![Pattern::Any],
        Some(names) => names
            .iter()
            .map(|name| Pattern::parse(Some(name)))
            .collect(),
    }
}

fn keep(indices: impl IntoIterator<Item = usize>, test: impl Fn(usize) -> bool) -> Vec<usize> {
    indices.into_iter().filter(|index| test(*index)).collect()
}

fn refuse(reason: &'static str, message: &str) -> Attachment {
    Attachment {
        verdict: Verdict::no(reason, message),
        listeners: Vec::new(),
    }
}

fn allows(
    gateway: &Gateway,
    view: &ListenerView<'_>,
    route: &HTTPRoute,
    objects: &Objects,
) -> bool {
    let kind_fits = view
        .kinds
        .iter()
        .any(|kind| kind.kind == "HTTPRoute" && kind.group.as_deref().unwrap_or(GROUP) == GROUP);
    if !kind_fits {
        return false;
    }
    let from_home = gateway.metadata.namespace == route.metadata.namespace;
    let default = RouteNamespaces::default();
    let namespaces = view
        .listener
        .allowed_routes
        .as_ref()
        .and_then(|allowed| allowed.namespaces.as_ref())
        .unwrap_or(&default);
    match namespaces.from.as_deref().unwrap_or("Same") {
        "Same" => from_home,
        "All" => true,
        "Selector" => namespaces.selector.as_ref().is_some_and(|selector| {
            let home = route.metadata.namespace.as_deref().unwrap_or_default();
            objects
                .namespaces
                .get(home)
                .is_some_and(|labels| selects(selector, labels))
        }),
        _ => false,
    }
}

fn selects(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> bool {
    let exact = selector
        .match_labels
        .iter()
        .flatten()
        .all(|(key, value)| labels.get(key) == Some(value));
    exact
        && selector
            .match_expressions
            .iter()
            .flatten()
            .all(|expression| {
                let value = labels.get(&expression.key);
                let listed =
                    |value: &String| expression.values.iter().flatten().any(|v| v == value);
                match expression.operator.as_str() {
                    "In" => value.is_some_and(listed),
                    "NotIn" => !value.is_some_and(listed),
                    "Exists" => value.is_some(),
                    "DoesNotExist" => value.is_none(),
                    _ => false,
                }
            })
}

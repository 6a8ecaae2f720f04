use jiff::Timestamp;

use super::{Stamp, settle};
use crate::ObjectName;
use crate::api::{Gateway, GatewayAddress, GatewayStatus, ListenerStatus};
use crate::attach;
use crate::listener::ListenerView;
use crate::settings::Settings;
use crate::unsupported;
use crate::verdict::Verdict;
use crate::view::View;

/// The observed state of a gateway's pods and Service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DataPlane {
    /// Addresses of the Service; none before it has one.
    pub addresses: Vec<GatewayAddress>,
    /// Whether at least one pod is available.
    pub is_available: bool,
    /// Why none is, where that is known.
    pub trouble: Option<String>,
    /// Why it cannot be made as its Gateway says, whatever runs meanwhile.
    pub refused: Option<String>,
}

impl View<'_> {
    /// The status of a gateway of our class, whether or not it is in the snapshot; `plane` is the state of its
    /// pods.
    pub fn gateway_status(
        &self,
        gateway: &Gateway,
        plane: &DataPlane,
        now: Timestamp,
    ) -> GatewayStatus {
        let previous = gateway.status.clone().unwrap_or_default();
        let stamp = Stamp {
            now,
            generation: gateway.metadata.generation,
        };
        let views = crate::listener::view(gateway, self.objects, Some(now));
        let accepted = accepted(gateway, &views);
        let programmed = programmed(gateway, plane, accepted.ok);
        let name = ObjectName::of(gateway);
        let counts = self.attached(&name, views.len());
        let listeners = views.iter().zip(counts).map(|(view, attached_routes)| {
            let old = previous
                .listeners
                .iter()
                .flatten()
                .find(|old| old.name == view.listener.name);
            let old = old.map(|old| old.conditions.as_slice()).unwrap_or_default();
            ListenerStatus {
                name: view.listener.name.clone(),
                supported_kinds: view.kinds.clone(),
                attached_routes,
                conditions: listener_conditions(view, &programmed, old, stamp),
            }
        });
        let listeners = Some(listeners.collect());
        let wanted = [("Accepted", accepted), ("Programmed", programmed)];
        GatewayStatus {
            addresses: (!plane.addresses.is_empty()).then(|| plane.addresses.clone()),
            conditions: settle(
                &previous.conditions,
                &["Accepted", "Programmed"],
                &wanted,
                stamp,
            ),
            listeners,
        }
    }

    /// How many routes are attached to each listener; unresolved backends do not matter.
    fn attached(&self, gateway: &ObjectName, listeners: usize) -> Vec<i32> {
        let mut counts = vec![0; listeners];
        let Some(own) = self.gateways.get(gateway) else {
            return counts;
        };
        for route in &self.objects.http_routes {
            let mut seen = vec![false; listeners];
            for parent in route.spec.parent_refs.iter().flatten() {
                if attach::parent_name(route, parent).as_ref() != Some(gateway) {
                    continue;
                }
                for index in attach::attach(route, parent, own, self.objects).listeners {
                    if let Some(seen) = seen.get_mut(index) {
                        *seen = true;
                    }
                }
            }
            counts
                .iter_mut()
                .zip(seen)
                .for_each(|(count, seen)| *count += i32::from(seen));
        }
        counts
    }
}

fn accepted(gateway: &Gateway, views: &[ListenerView<'_>]) -> Verdict {
    let parameters = gateway
        .spec
        .infrastructure
        .as_ref()
        .and_then(|infra| infra.parameters_ref.as_ref());
    if let Some(parameters) = parameters {
        let why = format!(
            "infrastructure.parametersRef {} is not supported",
            parameters.name
        );
        return Verdict::no("InvalidParameters", why);
    }
    if let Err(why) = unsupported::of_gateway(gateway) {
        return Verdict::no("Invalid", why);
    }
    if let Err(why) = Settings::read(gateway) {
        return Verdict::no("InvalidParameters", why);
    }
    let odd = gateway.spec.addresses.iter().flatten().find(|address| {
        !matches!(
            address.type_.as_deref().unwrap_or("IPAddress"),
            "IPAddress" | "Hostname"
        )
    });
    if let Some(odd) = odd {
        let type_ = odd.type_.as_deref().unwrap_or_default();
        return Verdict::no(
            "UnsupportedAddress",
            format!("address type {type_} is not supported"),
        );
    }
    let invalid: Vec<&str> = views
        .iter()
        .filter(|view| !view.is_valid())
        .map(|view| view.listener.name.as_str())
        .collect();
    if invalid.is_empty() {
        return Verdict::yes("Accepted", "The gateway is accepted");
    }
    let why = format!("invalid listeners: {}", invalid.join(", "));
    if invalid.len() == views.len() {
        Verdict::no("ListenersNotValid", why)
    } else {
        Verdict::yes("ListenersNotValid", why)
    }
}

fn programmed(gateway: &Gateway, plane: &DataPlane, is_accepted: bool) -> Verdict {
    if !is_accepted {
        return Verdict::no("Invalid", "The gateway is not accepted");
    }
    let unusable = gateway
        .spec
        .addresses
        .iter()
        .flatten()
        .filter_map(|wanted| wanted.value.as_ref());
    let mut unusable = unusable.filter(|wanted| {
        !plane
            .addresses
            .iter()
            .any(|have| have.value.as_ref() == Some(*wanted))
    });
    if let Some(wanted) = unusable.next() {
        let why = format!("address {wanted} cannot be used: addresses are assigned by the cluster");
        return Verdict::no("AddressNotUsable", why);
    }
    if let Some(why) = &plane.refused {
        return Verdict::no("NoResources", why.clone());
    }
    if plane.addresses.is_empty() {
        return Verdict::no(
            "AddressNotAssigned",
            "The gateway's Service has no address yet",
        );
    }
    if !plane.is_available {
        let why = plane.trouble.as_ref();
        let why = why.map(|why| format!(": {why}")).unwrap_or_default();
        let text = format!("No pod of the gateway is available yet{why}");
        return Verdict::no("NoResources", text);
    }
    Verdict::yes("Programmed", "The gateway serves its listeners")
}

fn listener_conditions(
    view: &ListenerView<'_>,
    gateway: &Verdict,
    previous: &[crate::api::Condition],
    stamp: Stamp,
) -> Vec<crate::api::Condition> {
    let programmed = if !view.is_servable() || view.kinds.is_empty() {
        Verdict::no(
            "Invalid",
            "The listener is invalid, see the other conditions",
        )
    } else if gateway.ok {
        Verdict::yes("Programmed", "The listener is served")
    } else {
        Verdict::no("Pending", gateway.message.clone())
    };
    let conflicted = match &view.conflicted {
        Some(conflict) => Verdict::yes(conflict.reason, conflict.message.clone()),
        None => Verdict::no("NoConflicts", "No other listener conflicts"),
    };
    let accepted = match &view.conflicted {
        Some(conflict) if view.accepted.ok => conflict.clone(),
        _ => view.accepted.clone(),
    };
    let wanted = [
        ("Accepted", accepted),
        ("Programmed", programmed),
        ("ResolvedRefs", view.resolved.clone()),
        ("Conflicted", conflicted),
    ];
    settle(
        previous,
        &["Accepted", "Programmed", "ResolvedRefs", "Conflicted"],
        &wanted,
        stamp,
    )
}

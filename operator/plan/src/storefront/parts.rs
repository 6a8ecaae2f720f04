//! Readiness of the services and the gateway of a shop, from their own conditions.

use crds::{Condition, ServiceDeployment};
use gateway_routes::api::Gateway;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::{
    Applied, Live, Objects, conditions,
    readiness::{Part, absent},
};

pub(super) fn service(objects: &Objects<Applied>, name: &str) -> Part {
    let Some(service) = objects.get::<ServiceDeployment>(name) else {
        return absent("ServiceDeployment", name);
    };
    let status = service.status.unwrap_or_default();
    let conditions = status.conditions;
    let generation = service.metadata.generation;
    if is_outdated(objects, name, status.inputs.as_deref()) {
        return Part {
            ready: false,
            since: None,
            message: "it has not taken over the newest settings of the shop yet".into(),
            ..from_conditions("ServiceDeployment", name, &conditions, generation)
        };
    }
    let part = from_conditions("ServiceDeployment", name, &conditions, generation);
    if conditions::find(&conditions, "Ready").is_some_and(|ready| ready.reason == "Paused") {
        paused(part, &conditions)
    } else {
        part
    }
}

/// A paused one does not report whether it is ready as a whole; its other conditions still do.
fn paused(part: Part, list: &[Condition]) -> Part {
    let mut aspects = list.iter().filter(|c| c.type_ != "Ready").peekable();
    let is_known = aspects.peek().is_some();
    match aspects.find(|c| !c.is_true()) {
        Some(first) => Part {
            since: Some(first.last_transition_time.clone()),
            message: first.message.clone(),
            ..part
        },
        None => Part {
            ready: is_known,
            ..part
        },
    }
}

/// Whether a service was made from something else than it should be made from now. One that was last
/// reconciled by an operator which did not record it counts as current.
fn is_outdated(objects: &Objects<Applied>, name: &str, made_from: Option<&str>) -> bool {
    let Some(made_from) = made_from else {
        return false;
    };
    objects.items.iter().any(|item| match &item.live {
        Live::Inputs(wanted) => item.key.name == name && wanted != made_from,
        _ => false,
    })
}

fn from_conditions(
    kind: &'static str,
    name: &str,
    list: &[Condition],
    generation: Option<i64>,
) -> Part {
    let ready = conditions::find(list, "Ready");
    Part {
        kind,
        name: name.to_owned(),
        ready: conditions::is_ready(list, generation),
        since: ready
            .filter(|c| !c.is_true())
            .map(|c| c.last_transition_time.clone()),
        message: conditions::why_not_ready(list).to_owned(),
        pods: None,
        stalls: conditions::find(list, "Stalled").is_some_and(Condition::is_true),
    }
}

/// What is wrong with the certificates of the Gateway, as its listeners say.
pub(super) fn certificate_trouble(objects: &Objects<Applied>, name: &str) -> Option<Trouble> {
    let gateway = objects.get::<Gateway>(name)?;
    let generation = gateway.metadata.generation;
    let listeners = gateway.status?.listeners?;
    let mut unresolved = listeners.iter().flat_map(|listener| {
        let conditions = listener.conditions.iter();
        conditions
            .filter(|c| c.type_ == "ResolvedRefs" && c.status == "False")
            .filter(|c| c.observed_generation == generation)
            .map(|c| (&listener.name, c))
    });
    let (listener, condition) = unresolved.next()?;
    Some(Trouble {
        message: format!("listener {listener}: {}", condition.message),
        since: condition.last_transition_time.clone(),
    })
}

/// A fault of a part that serves all the same.
pub(super) struct Trouble {
    pub(super) message: String,
    pub(super) since: Time,
}

pub(super) fn gateway(objects: &Objects<Applied>, name: &str) -> Part {
    let Some(gateway) = objects.get::<Gateway>(name) else {
        return absent("Gateway", name);
    };
    let list = gateway.status.map(|s| s.conditions).unwrap_or_default();
    let programmed = list.iter().find(|c| c.type_ == "Programmed");
    let refused = list
        .iter()
        .find(|c| c.type_ == "Accepted" && c.status == "False");
    let ready = programmed.is_some_and(|c| {
        c.status == "True" && c.observed_generation == gateway.metadata.generation
    });
    let reported = refused.or(programmed.filter(|c| c.status != "True"));
    Part {
        kind: "Gateway",
        name: name.to_owned(),
        ready,
        // A new Gateway has conditions of 1970, which its definition sets.
        since: reported
            .map(|c| c.last_transition_time.clone())
            .filter(|since| since.0 > Timestamp::UNIX_EPOCH),
        message: match reported {
            Some(c) if !c.message.is_empty() => c.message.clone(),
            Some(c) => c.reason.clone(),
            None => format!(
                "no controller has programmed it yet; check that GatewayClass {} exists and its controller runs",
                gateway.spec.gateway_class_name
            ),
        },
        pods: None,
        stalls: false,
    }
}

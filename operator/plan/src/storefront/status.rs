use crds::{
    Condition, LocalRef, ServiceCounts, ServiceDeployment, Storefront, StorefrontStatus,
    storefront::Blocker,
};
use gateway_routes::api::Gateway;
use jiff::Timestamp;
use k8s_openapi::{
    api::apps::v1::{Deployment, StatefulSet},
    apimachinery::pkg::apis::meta::v1::Time,
};

use super::{SERVICES, Server, Valid, url};
use crate::{
    Applied, Objects, Outcome,
    conditions::{self, Aspect},
};

/// What the Storefront's status says after a look. `valid` is given whenever the spec was found good.
pub fn status(
    storefront: &Storefront,
    outcome: &Outcome<'_>,
    valid: Option<&Valid>,
    now: Timestamp,
) -> StorefrontStatus {
    let previous = storefront.status.clone().unwrap_or_default();
    let generation = storefront.metadata.generation;
    let mut status = StorefrontStatus {
        observed_generation: generation,
        ..previous.clone()
    };
    if let Some(valid) = valid {
        status.version = Some(valid.version().to_owned());
        status.url = Some(url(storefront));
        status.admin_secret_ref = Some(LocalRef::new(valid.child("admin")));
    }
    let known = &previous.conditions;
    status.conditions = match outcome {
        Outcome::Applied(objects) => {
            let look = look(valid, objects, known, now);
            status.blocked_by = look.blocker;
            status.services = Some(look.services);
            let mut aspects = conditions::summary(&look.aspects);
            aspects.extend(look.aspects);
            conditions::conditions(known, &aspects, generation, now)
        }
        Outcome::Waiting(on) => {
            let aspects = conditions::reconciling(on.reason, &on.message);
            conditions::partial(known, &aspects, generation, now)
        }
        Outcome::Invalid(why) => {
            let aspects = conditions::stalled(why.reason, &why.message);
            conditions::partial(known, &aspects, generation, now)
        }
        Outcome::Failed(text) => {
            let aspects = conditions::reconciling("ReconcileFailed", text);
            conditions::partial(known, &aspects, generation, now)
        }
        Outcome::Deleting(text) => {
            let aspects = conditions::reconciling("Deleting", text);
            conditions::partial(known, &aspects, generation, now)
        }
        Outcome::Paused => {
            let text = "spec.paused is true: nothing is changed, the shop runs on as it is";
            let aspects = [Aspect::unknown("Ready", "Paused", text)];
            conditions::partial(known, &aspects, generation, now)
        }
    };
    status
}

/// What is said of a part that is not ours to run.
const OWNERS: &str = "the shop uses its owner's server";

struct Look {
    aspects: Vec<Aspect>,
    services: ServiceCounts,
    blocker: Option<Blocker>,
}

/// One part of the shop, and since when it has not been ready.
struct Part {
    kind: &'static str,
    name: String,
    ready: bool,
    since: Option<Time>,
    message: String,
}

fn look(
    valid: Option<&Valid>,
    objects: &Objects<Applied>,
    known: &[Condition],
    now: Timestamp,
) -> Look {
    let name = valid.map(Valid::name).unwrap_or_default();
    let mut database = match valid.map(Valid::server) {
        Some(Server::External { admin_secret }) => Part {
            kind: "Secret",
            name: admin_secret,
            ready: true,
            since: None,
            message: OWNERS.into(),
        },
        _ => stateful(objects, &format!("{name}-postgres")),
    };
    let mut queue = stateful(objects, &format!("{name}-nats"));
    let cache = match valid.and_then(Valid::external_cache) {
        Some((secret, _)) => Part {
            kind: "Secret",
            name: secret.to_owned(),
            ready: true,
            since: None,
            message: OWNERS.into(),
        },
        None => cache(objects, &format!("{name}-redis")),
    };
    // A StatefulSet does not tell since when; our own condition remembers it.
    for (part, type_) in [(&mut database, "DatabaseReady"), (&mut queue, "QueueReady")] {
        if !part.ready && part.since.is_none() {
            part.since = Some(since(known, type_, now));
        }
    }
    let services: Vec<Part> = SERVICES
        .iter()
        .map(|s| service(objects, &format!("{name}-{s}")))
        .collect();
    let mut gateway = gateway(objects, name);
    let mut unprogrammed = "GatewayNotProgrammed";
    if let Some(message) = valid.and_then(Valid::awaited_certificate) {
        gateway.ready = false;
        gateway.since = Some(since(known, "GatewayProgrammed", now));
        gateway.message = message;
        unprogrammed = "CertificatePending";
    }

    let (counts, services_aspect) = count(&services);
    let aspects = vec![
        aspect("DatabaseReady", "DatabaseNotReady", &database),
        aspect("QueueReady", "QueueNotReady", &queue),
        aspect("CacheReady", "CacheNotReady", &cache),
        services_aspect,
        aspect("GatewayProgrammed", unprogrammed, &gateway),
    ];
    let blocker = [&database, &queue, &cache]
        .into_iter()
        .chain(&services)
        .chain([&gateway])
        .find(|part| !part.ready)
        .map(|part| Blocker {
            kind: part.kind.to_owned(),
            name: part.name.clone(),
            since: part.since.clone(),
            message: part.message.clone(),
        });
    Look {
        aspects,
        services: counts,
        blocker,
    }
}

/// How many services are ready, and which of the others comes first.
fn count(services: &[Part]) -> (ServiceCounts, Aspect) {
    let total = services.len();
    let ready = services.iter().filter(|part| part.ready).count();
    let counts = ServiceCounts {
        ready: i32::try_from(ready).unwrap_or(i32::MAX),
        total: i32::try_from(total).unwrap_or(i32::MAX),
        summary: format!("{ready}/{total}"),
    };
    let aspect = match services.iter().find(|part| !part.ready) {
        None => Aspect::yes(
            "ServicesReady",
            "Ready",
            format!("all {total} services are ready"),
        ),
        Some(part) => Aspect::no(
            "ServicesReady",
            "ServicesNotReady",
            format!("{ready} of {total} services are ready; {}", blocked(part)),
        ),
    };
    (counts, aspect)
}

fn aspect(type_: &'static str, reason: &str, part: &Part) -> Aspect {
    if part.ready && part.message == OWNERS {
        let text = format!("{OWNERS}, which the Secret {} names", part.name);
        Aspect::yes(type_, "External", text)
    } else if part.ready {
        Aspect::yes(
            type_,
            "Ready",
            format!("{} {} is ready", part.kind, part.name),
        )
    } else {
        Aspect::no(type_, reason, blocked(part))
    }
}

/// The sentence names the child, the instant since when, and the reason; it must read the same until
/// something changes, so it never says "for 35 s".
fn blocked(part: &Part) -> String {
    let since = part
        .since
        .as_ref()
        .map(|time| format!(" since {}", time.0))
        .unwrap_or_default();
    format!(
        "{} {} is not ready{since}: {}",
        part.kind, part.name, part.message
    )
}

fn since(known: &[Condition], type_: &str, now: Timestamp) -> Time {
    conditions::find(known, type_)
        .filter(|c| !c.is_true())
        .map_or_else(
            || conditions::whole_second(now),
            |c| c.last_transition_time.clone(),
        )
}

fn missing(kind: &'static str, name: &str) -> Part {
    Part {
        kind,
        name: name.to_owned(),
        ready: false,
        since: None,
        message: "it does not exist yet".into(),
    }
}

fn stateful(objects: &Objects<Applied>, name: &str) -> Part {
    let Some(set) = objects.get::<StatefulSet>(name) else {
        return missing("StatefulSet", name);
    };
    let current = set
        .status
        .as_ref()
        .is_some_and(|s| s.observed_generation == set.metadata.generation);
    let pods = set
        .status
        .as_ref()
        .and_then(|s| s.ready_replicas)
        .unwrap_or(0);
    let wanted = set.spec.and_then(|spec| spec.replicas).unwrap_or(1);
    // Raft: a majority keeps the bus going, so this is a warning above it and an outage below.
    let (meaning, look) = match (wanted > 1, pods > wanted / 2) {
        (false, _) => ("", format!("describe pod {name}-0")),
        (true, most) => (
            if most {
                ": a majority, so events flow"
            } else {
                ": no majority, so events wait"
            },
            format!("get pods -l app.kubernetes.io/instance={name}"),
        ),
    };
    Part {
        kind: "StatefulSet",
        name: name.to_owned(),
        ready: current && pods >= wanted,
        since: None,
        message: format!("{pods} of {wanted} pods are ready{meaning}; see `kubectl {look}`"),
    }
}

fn cache(objects: &Objects<Applied>, name: &str) -> Part {
    let Some(deployment) = objects.get::<Deployment>(name) else {
        return missing("Deployment", name);
    };
    let status = deployment.status.unwrap_or_default();
    let pods = status.ready_replicas.unwrap_or(0);
    let available = status
        .conditions
        .unwrap_or_default()
        .into_iter()
        .find(|c| c.type_ == "Available");
    Part {
        kind: "Deployment",
        name: name.to_owned(),
        ready: status.observed_generation == deployment.metadata.generation && pods >= 1,
        since: available
            .filter(|c| c.status != "True")
            .and_then(|c| c.last_transition_time),
        message: format!("{pods} of 1 pods are ready"),
    }
}

fn service(objects: &Objects<Applied>, name: &str) -> Part {
    let Some(service) = objects.get::<ServiceDeployment>(name) else {
        return missing("ServiceDeployment", name);
    };
    let conditions = service.status.map(|s| s.conditions).unwrap_or_default();
    from_conditions(
        "ServiceDeployment",
        name,
        &conditions,
        service.metadata.generation,
    )
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
        message: match ready {
            Some(c) if !c.is_true() => c.message.clone(),
            Some(_) => "its newest generation has not been looked at yet".into(),
            None => "it has not been looked at yet".into(),
        },
    }
}

fn gateway(objects: &Objects<Applied>, name: &str) -> Part {
    let Some(gateway) = objects.get::<Gateway>(name) else {
        return missing("Gateway", name);
    };
    let list = gateway.status.map(|s| s.conditions).unwrap_or_default();
    let programmed = list.iter().find(|c| c.type_ == "Programmed");
    let refused = list
        .iter()
        .find(|c| c.type_ == "Accepted" && c.status == "False");
    let ready = programmed.is_some_and(|c| {
        c.status == "True" && c.observed_generation == gateway.metadata.generation
    });
    let speaks = refused.or(programmed.filter(|c| c.status != "True"));
    Part {
        kind: "Gateway",
        name: name.to_owned(),
        ready,
        since: speaks.map(|c| c.last_transition_time.clone()),
        message: match speaks {
            Some(c) if !c.message.is_empty() => c.message.clone(),
            Some(c) => c.reason.clone(),
            None => format!(
                "no controller has programmed it yet; is there one for the class {}?",
                gateway.spec.gateway_class_name
            ),
        },
    }
}

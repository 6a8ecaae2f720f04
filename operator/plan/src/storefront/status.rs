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

use super::{
    Missing, SERVICES, Valid,
    proof::{self, Proof, Waits},
    url,
};
use crate::{
    Applied, Objects, Outcome, Planned,
    conditions::{self, Aspect},
    pods,
    trouble::{PodsOf, trouble},
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
        let is_proven = proof::waiting(valid).is_empty();
        if is_proven || status.version.is_none() {
            status.version = Some(valid.version().to_owned());
        }
        status.url = Some(url(storefront));
        status.admin_secret_ref = Some(LocalRef::new(valid.child("admin")));
    }
    let known = &previous.conditions;
    let missing = valid.and_then(|valid| valid.missing().first());
    let (mut seen, mut all) = (Vec::new(), Vec::new());
    if let Some(objects) = outcome.seen() {
        let database = match &storefront.spec.database.external {
            Some(external) => {
                let secret = &external.admin_secret_ref.name;
                foreign("DatabaseReady", secret, valid, known)
            }
            None => stateful(objects, name_of(storefront), "postgres"),
        };
        let cache = match &storefront.spec.cache.external {
            Some(external) => foreign("CacheReady", &external.secret_ref.name, valid, known),
            None => cache(objects, name_of(storefront)),
        };
        let proof = valid.and_then(|valid| proving(valid, objects));
        let servers = Servers {
            database,
            cache,
            proof,
            certificate: valid.and_then(Valid::awaited_certificate),
        };
        let look = look(servers, (name_of(storefront), objects), known, now);
        status.blocked_by = missing.map(lacking).or(look.blocker);
        status.services = Some(look.services);
        (seen, all) = (look.aspects, look.summary);
    }
    let mut aspects = match outcome {
        Outcome::Applied(_) => match missing {
            Some(missing) => conditions::reconciling(missing.on.reason, &missing.on.message),
            None => all,
        },
        Outcome::Waiting(on, _) => conditions::reconciling(on.reason, &on.message),
        Outcome::Invalid(why, _) => conditions::stalled(why.reason, &why.message),
        Outcome::Failed(text) => conditions::reconciling("ReconcileFailed", text),
        Outcome::Deleting(text) => conditions::reconciling("Deleting", text),
        Outcome::Paused(_) => vec![Aspect::unknown(
            "Ready",
            "Paused",
            "spec.paused is true: nothing is changed, the shop runs on as it is",
        )],
    };
    aspects.extend(seen);
    status.conditions = match outcome {
        Outcome::Applied(_) => conditions::conditions(known, &aspects, generation, now),
        _ => conditions::partial(known, &aspects, generation, now),
    };
    status
}

fn lacking(missing: &Missing) -> Blocker {
    Blocker {
        kind: "Secret".into(),
        name: missing.secret.clone(),
        since: None,
        message: missing.on.message.clone(),
    }
}

/// The children that the status speaks of, to be read and left as they are: for a look that makes nothing.
pub fn children(storefront: &Storefront) -> Objects<Planned> {
    let namespace = storefront.metadata.namespace.as_deref();
    let (namespace, shop) = (namespace.unwrap_or_default(), name_of(storefront));
    let mut objects = proof::servers(storefront);
    for service in SERVICES {
        objects.keep::<ServiceDeployment>(namespace, &format!("{shop}-{service}"));
    }
    objects.keep::<Gateway>(namespace, shop);
    objects
}

/// Pods that know why a server of the shop is not ready, or why its new image is not: read them, and put
/// them beside `seen`. None while all are. `valid` is given by a look that made something.
pub fn unready(
    storefront: &Storefront,
    valid: Option<&Valid>,
    seen: &Objects<Applied>,
) -> Vec<PodsOf> {
    let shop = name_of(storefront);
    let servers = [
        stateful(seen, shop, "postgres"),
        stateful(seen, shop, "nats"),
        cache(seen, shop),
    ];
    let proofs = valid.map(proof::waiting).unwrap_or_default();
    let proofs = proofs
        .into_iter()
        .filter_map(|(_, proof)| Some(PodsOf::job(&proof.waits()?.job)));
    let servers = servers.into_iter().filter_map(|part| part.pods);
    servers.chain(proofs).collect()
}

/// The first server that keeps its image, because nobody has seen the new one start.
fn proving(valid: &Valid, objects: &Objects<Applied>) -> Option<(&'static str, Part)> {
    let (part, proof) = proof::waiting(valid).into_iter().next()?;
    let Waits { job, before } = proof.waits()?;
    let stays = format!(
        "{} keeps image {before} until {} has been seen to start",
        valid.child(part),
        valid.image(part)
    );
    let (reason, message) = match (&proof, trouble(objects, &PodsOf::job(job))) {
        (Proof::Failed(_), _) => (
            "UpgradeFailed",
            format!(
                "{stays}, and it does not: read `kubectl logs job/{job}`, then change spec.version, or delete the Job to try again"
            ),
        ),
        (_, Some(trouble)) => ("UpgradeWaiting", format!("{stays}. {}", trouble.message)),
        (_, None) => ("UpgradeWaiting", stays),
    };
    let part = Part {
        kind: "Job",
        name: job.clone(),
        ready: false,
        since: None,
        message,
        pods: None,
    };
    Some((reason, part))
}

/// What is said of a part that is not ours to run.
const OWNERS: &str = "the shop uses its owner's server";

struct Look {
    aspects: Vec<Aspect>,
    summary: Vec<Aspect>,
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
    /// Whom to ask why it is not ready.
    pods: Option<PodsOf>,
}

fn name_of(storefront: &Storefront) -> &str {
    storefront.metadata.name.as_deref().unwrap_or_default()
}

/// A server of somebody else's: all that is known of it is the Secret that says where it is.
fn foreign(type_: &str, secret: &str, valid: Option<&Valid>, known: &[Condition]) -> Part {
    let mut missing = valid.into_iter().flat_map(Valid::missing);
    let missing = missing.find(|missing| missing.secret == secret);
    let before = conditions::find(known, type_).filter(|c| valid.is_none() && !c.is_true());
    let message = missing.map(|missing| missing.on.message.clone());
    let message = message.or(before.map(|c| c.message.clone()));
    Part {
        kind: "Secret",
        name: secret.to_owned(),
        ready: message.is_none(),
        since: None,
        message: message.unwrap_or_else(|| OWNERS.into()),
        pods: None,
    }
}

/// What is told apart by the spec, and not by the objects alone.
struct Servers {
    database: Part,
    cache: Part,
    /// The server that keeps its image, and why.
    proof: Option<(&'static str, Part)>,
    /// What is said while the shop's certificate is awaited.
    certificate: Option<String>,
}

fn look(
    servers: Servers,
    (name, objects): (&str, &Objects<Applied>),
    known: &[Condition],
    now: Timestamp,
) -> Look {
    let Servers {
        mut database,
        cache,
        proof,
        certificate,
    } = servers;
    let mut queue = stateful(objects, name, "nats");
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
    if let Some(message) = certificate {
        gateway.ready = false;
        gateway.since = Some(since(known, "GatewayProgrammed", now));
        gateway.message = message;
        unprogrammed = "CertificatePending";
    }

    let (counts, services_aspect) = count(&services);
    let mut aspects = vec![
        aspect("DatabaseReady", "DatabaseNotReady", &database),
        aspect("QueueReady", "QueueNotReady", &queue),
        aspect("CacheReady", "CacheNotReady", &cache),
    ];
    // A server that stays as it is runs well; all that it keeps from being so is the whole.
    let stays = proof
        .as_ref()
        .map(|(reason, part)| Aspect::no("Ready", reason, part.message.clone()));
    let mut all = aspects.clone();
    all.extend(stays);
    let rest = [
        services_aspect,
        aspect("GatewayProgrammed", unprogrammed, &gateway),
    ];
    all.extend(rest.clone());
    aspects.extend(rest);
    let blocker = [&database, &queue, &cache]
        .into_iter()
        .chain(proof.as_ref().map(|(_, part)| part))
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
        summary: conditions::summary(&all),
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
        pods: None,
    }
}

fn stateful(objects: &Objects<Applied>, shop: &str, part: &str) -> Part {
    let name = format!("{shop}-{part}");
    let Some(set) = objects.get::<StatefulSet>(&name) else {
        return missing("StatefulSet", &name);
    };
    let status = set.status.unwrap_or_default();
    let current = status.observed_generation == set.metadata.generation;
    let count = status.ready_replicas.unwrap_or(0);
    let wanted = set.spec.and_then(|spec| spec.replicas).unwrap_or(1);
    let ready = current && count >= wanted;
    let pods = PodsOf::set(&name, pods::selector(part, &name));
    let mut message = format!(
        "{count} of {wanted} pods are ready{}",
        meaning(count, wanted)
    );
    match trouble(objects, &pods) {
        Some(trouble) if wanted > 1 => message = format!("{message}. {}", trouble.message),
        Some(trouble) => message = trouble.message,
        None if wanted > 1 => {
            message += &format!("; see `kubectl get pods -l app.kubernetes.io/instance={name}`");
        }
        None => message += &format!("; see `kubectl describe pod {name}-0`"),
    }
    Part {
        kind: "StatefulSet",
        name,
        ready,
        since: None,
        message,
        pods: (!ready).then_some(pods),
    }
}

/// Raft: a majority keeps the bus going, so this is a warning above it and an outage below.
fn meaning(ready: i32, wanted: i32) -> &'static str {
    match (wanted > 1, ready > wanted / 2) {
        (false, _) => "",
        (true, true) => ": a majority, so events flow",
        (true, false) => ": no majority, so events wait",
    }
}

fn cache(objects: &Objects<Applied>, shop: &str) -> Part {
    let name = format!("{shop}-redis");
    let Some(deployment) = objects.get::<Deployment>(&name) else {
        return missing("Deployment", &name);
    };
    let status = deployment.status.unwrap_or_default();
    let count = status.ready_replicas.unwrap_or(0);
    let available = status
        .conditions
        .unwrap_or_default()
        .into_iter()
        .find(|c| c.type_ == "Available");
    let pods = PodsOf::deployment(&name, pods::selector("redis", &name));
    let message = trouble(objects, &pods).map_or_else(
        || format!("{count} of 1 pods are ready"),
        |trouble| trouble.message,
    );
    let ready = status.observed_generation == deployment.metadata.generation && count >= 1;
    Part {
        kind: "Deployment",
        name,
        ready,
        since: available
            .filter(|c| c.status != "True")
            .and_then(|c| c.last_transition_time),
        message,
        pods: (!ready).then_some(pods),
    }
}

fn service(objects: &Objects<Applied>, name: &str) -> Part {
    let Some(service) = objects.get::<ServiceDeployment>(name) else {
        return missing("ServiceDeployment", name);
    };
    let conditions = service.status.map(|s| s.conditions).unwrap_or_default();
    let generation = service.metadata.generation;
    let part = from_conditions("ServiceDeployment", name, &conditions, generation);
    if conditions::find(&conditions, "Ready").is_some_and(|ready| ready.reason == "Paused") {
        paused(part, &conditions)
    } else {
        part
    }
}

/// One that is left alone says nothing of being ready as a whole; its aspects still do.
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
        pods: None,
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
        pods: None,
    }
}

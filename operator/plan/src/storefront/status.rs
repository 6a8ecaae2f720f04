use crds::{
    Condition, LocalRef, ServiceCounts, ServiceDeployment, Storefront, StorefrontStatus,
    storefront::Blocker,
};
use gateway_routes::api::Gateway;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use service_catalogue::Service;

use super::{
    Missing, Valid,
    parts::{Part, cache, foreign, gateway, proving, service, stateful},
    proof, url,
};
use crate::{
    Applied, Objects, Outcome, Planned,
    conditions::{self, Aspect},
    trouble::PodsOf,
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
        let servers = Servers {
            database: match &storefront.spec.database.external {
                Some(external) => foreign(&external.admin_secret_ref.name, valid),
                None => stateful(objects, name_of(storefront), "postgres"),
            },
            cache: match &storefront.spec.cache.external {
                Some(external) => foreign(&external.secret_ref.name, valid),
                None => cache(objects, name_of(storefront)),
            },
            proof: valid.and_then(|valid| proving(valid, objects)),
            certificate: valid.and_then(Valid::awaited_certificate),
        };
        let look = look(servers, (name_of(storefront), objects), known, now);
        status.blocked_by = missing.map(lacking).or(look.blocker);
        status.services = Some(look.services);
        (seen, all) = (look.aspects, look.summary);
        if valid.is_none() {
            // The user's Secrets were not read: what was said of them stays.
            let database = storefront.spec.database.external.is_some();
            let cache = storefront.spec.cache.external.is_some();
            seen.retain(|aspect| {
                !(database && aspect.type_ == "DatabaseReady"
                    || cache && aspect.type_ == "CacheReady")
            });
        }
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
    for service in Service::ALL {
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

struct Look {
    aspects: Vec<Aspect>,
    summary: Vec<Aspect>,
    services: ServiceCounts,
    blocker: Option<Blocker>,
}

fn name_of(storefront: &Storefront) -> &str {
    storefront.metadata.name.as_deref().unwrap_or_default()
}

/// What the spec decides, and not the objects alone.
struct Servers {
    database: Part,
    cache: Part,
    /// The server that keeps its image, and why.
    proof: Option<(&'static str, Part)>,
    /// What is said while an issuer has not made the certificate yet.
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
    let services: Vec<Part> = Service::ALL
        .into_iter()
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
    if part.ready && part.kind == "Secret" {
        let text = format!(
            "the shop uses its owner's server, which the Secret {} names",
            part.name
        );
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

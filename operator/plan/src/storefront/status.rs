use crds::{
    DatabaseBinding, LocalRef, ServiceCounts, ServiceDeployment, Storefront, StorefrontStatus,
    storefront::Blocker,
};
use gateway_routes::api::Gateway;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use service_catalogue::Service;

use super::{
    Missing, Valid, bindings, hosts, issuer,
    parts::{Trouble, certificate_trouble, gateway, service},
    told::{failing, mail, serving, unanswered},
    url,
};
use crate::{
    Applied, Objects, Outcome, Planned, Platform,
    backing::{self, Backing, role::Role, volume},
    conditions::{self, Aspect},
    database_binding::LOST,
    leaving::HELD,
    readiness::Part,
    release::Release,
    trouble::PodsOf,
};

/// The condition of an update that can be taken.
const UPDATE_AVAILABLE: &str = "UpdateAvailable";

/// The Storefront's status after a reconciliation.
pub fn status(
    storefront: &Storefront,
    outcome: &Outcome<'_, Valid>,
    platform: &Platform,
    now: Timestamp,
) -> StorefrontStatus {
    let valid = outcome.valid();
    let previous = storefront.status.clone().unwrap_or_default();
    let generation = storefront.metadata.generation;
    let mut status = StorefrontStatus {
        observed_generation: generation,
        ..previous.clone()
    };
    if let Some(valid) = valid {
        if !backing::awaits_trial(valid) || status.version.is_none() {
            let release = valid.release.clone();
            status.version = Some(release.version);
            status.templates = Some(release.templates);
            status.images = Some(release.images);
        }
        status.url = Some(url(storefront));
        status.issuer = Some(issuer(storefront));
        status.admin_secret_ref = Some(LocalRef::new(valid.child("admin")));
    }
    let known = &previous.conditions;
    let missing = valid.and_then(|valid| valid.missing().first());
    let (mut seen, mut all) = (Vec::new(), Vec::new());
    if let Some(objects) = outcome.seen() {
        let look = look(storefront, valid, objects, now);
        status.blocked_by = missing.map(lacking).or(look.blocker);
        status.services = Some(look.services);
        let sizes = backing::volume_sizes(&storefront.spec, name_of(storefront), objects);
        status.volumes = sizes.or(status.volumes);
        (seen, all) = (look.aspects, look.summary);
        if valid.is_none() {
            // The user's Secrets were not read: what was reported about them stays.
            let external = external_conditions(storefront);
            seen.retain(|aspect| !external.contains(&aspect.type_));
        }
    }
    let mut aspects = match outcome {
        Outcome::Applied { valid, .. } => match missing {
            Some(first) => conditions::reconciling(first.on.reason, &lacking_all(valid)),
            None => all,
        },
        Outcome::Waiting(on, _) => conditions::reconciling(on.reason, &on.message),
        Outcome::Invalid(why, _) => conditions::stalled(why.reason, &why.message),
        Outcome::Failed(text) => conditions::reconciling("ReconcileFailed", text),
        Outcome::Deleting(text) => conditions::reconciling("Deleting", text),
        Outcome::Paused(_) => vec![Aspect::unknown(
            "Ready",
            "Paused",
            "spec.paused is true: the operator changes nothing, the shop keeps running as it is",
        )],
    };
    aspects.extend(seen);
    if let Some(valid) = valid {
        aspects.extend(hosts::aspect(&valid.seen.shared_hosts));
    }
    let update = update(storefront, platform);
    status.available_version = update.as_ref().map(|_| platform.version.clone());
    let mut known = known.clone();
    known.retain(|it| update.is_some() || it.type_ != UPDATE_AVAILABLE);
    aspects.extend(update);
    status.conditions = match outcome {
        Outcome::Applied { .. } => conditions::conditions(&known, &aspects, generation, now),
        _ => conditions::partial(&known, &aspects, generation, now),
    };
    status
}

/// What the operator's release would change in the shop's pods. It follows from the shop and the operator alone, so it is known
/// whether anything could be applied or not.
fn update(storefront: &Storefront, platform: &Platform) -> Option<Aspect> {
    let changes = Release::of(storefront, platform).update(platform)?;
    let version = &platform.version;
    Some(Aspect::yes(
        UPDATE_AVAILABLE,
        "NewerRelease",
        format!(
            "release {version} would change {changes}. Set spec.version to {version} to take it"
        ),
    ))
}

fn lacking(missing: &Missing) -> Blocker {
    Blocker {
        kind: "Secret".into(),
        name: missing.secret.clone(),
        since: None,
        message: missing.on.message.clone(),
    }
}

/// Every Secret that is waited for: who makes one need not come back for the next.
fn lacking_all(valid: &Valid) -> String {
    let all = valid.missing().iter();
    let all: Vec<_> = all.map(|missing| missing.on.message.as_str()).collect();
    all.join("; ")
}

/// Conditions about servers that the user runs.
fn external_conditions(storefront: &Storefront) -> Vec<&'static str> {
    let spec = &storefront.spec;
    let backings = Backing::of(spec).into_iter();
    let external = backings.filter(|backing| backing.reference(spec).is_some());
    external.map(|backing| backing.role().condition()).collect()
}

/// The children that the status reports on, to be read and left as they are: for a reconciliation that
/// applies nothing.
pub fn children(storefront: &Storefront) -> Objects<Planned> {
    let namespace = storefront.metadata.namespace.as_deref();
    let (namespace, shop) = (namespace.unwrap_or_default(), name_of(storefront));
    let mut objects = backing::live(&storefront.spec, (namespace, shop));
    for service in Service::ALL {
        objects.keep::<ServiceDeployment>(namespace, &format!("{shop}-{service}"));
        if service.has_database() {
            objects.keep::<DatabaseBinding>(namespace, &format!("{shop}-{service}"));
        }
    }
    objects.keep::<Gateway>(namespace, shop);
    objects
}

/// Pods that may say why a server of the shop is not ready, or why its new image is not: read them, and
/// add them to `seen`. None while all are ready. `valid` is given by a reconciliation that applied something.
pub fn unready(
    storefront: &Storefront,
    valid: Option<&Valid>,
    seen: &Objects<Applied>,
) -> Vec<PodsOf> {
    let (spec, shop) = (&storefront.spec, name_of(storefront));
    let servers = Backing::of(spec)
        .into_iter()
        .filter_map(|backing| backing.readiness(spec, shop, valid, seen).pods);
    let trials = valid.map(backing::pods_of_trials).unwrap_or_default();
    servers.chain(trials).collect()
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

/// A server of the shop, and the reason of its condition while it is not ready.
struct Server {
    role: Role,
    reason: &'static str,
    part: Part,
}

/// The shop's servers, in the order of their conditions.
fn servers(
    storefront: &Storefront,
    valid: Option<&Valid>,
    objects: &Objects<Applied>,
    now: Timestamp,
) -> Vec<Server> {
    let (spec, shop) = (&storefront.spec, name_of(storefront));
    let servers = Backing::of(spec).into_iter().map(|backing| {
        let (role, mut part) = (
            backing.role(),
            backing.readiness(spec, shop, valid, objects),
        );
        let mut reason = volume::reason(&part);
        // What its services suffer from then has this cause, and a remedy.
        if role == Role::Database
            && reason.is_none()
            && let Some(lost) = bindings::lost(objects, shop)
        {
            (reason, part) = (Some(LOST), lost);
        }
        if part.ready
            && let Some((service, why)) = failing(objects, shop, role)
        {
            part.ready = false;
            part.message = format!("ServiceDeployment {service} cannot use it: {why}");
        }
        // Not every child records since when; our own condition does.
        if !part.ready && part.since.is_none() {
            part.since = Some(since(storefront, role.condition(), now));
        }
        Server {
            role,
            reason: reason.unwrap_or(role.not_ready()),
            part,
        }
    });
    servers.collect()
}

/// The Gateway, with its reason for not being ready.
fn edge(
    storefront: &Storefront,
    valid: Option<&Valid>,
    objects: &Objects<Applied>,
    now: Timestamp,
) -> (&'static str, Part) {
    let part = gateway(objects, name_of(storefront));
    let Some(message) = valid.and_then(Valid::awaited_certificate) else {
        let trouble = certificate_trouble(objects, name_of(storefront));
        return match trouble.filter(|_| part.ready) {
            Some(Trouble { message, since }) => {
                let part = Part {
                    ready: false,
                    since: Some(since),
                    message,
                    ..part
                };
                ("CertificateNotUsable", part)
            }
            None => ("GatewayNotProgrammed", part),
        };
    };
    let part = Part {
        ready: false,
        since: Some(since(storefront, "GatewayProgrammed", now)),
        message,
        ..part
    };
    ("CertificatePending", part)
}

fn look(
    storefront: &Storefront,
    valid: Option<&Valid>,
    objects: &Objects<Applied>,
    now: Timestamp,
) -> Look {
    let servers = servers(storefront, valid, objects, now);
    let trial = valid.and_then(|valid| backing::awaited_trial(valid, objects));
    let services: Vec<Part> = Service::ALL
        .into_iter()
        .map(|it| service(objects, &format!("{}-{it}", name_of(storefront))))
        .collect();
    let (unprogrammed, gateway) = edge(storefront, valid, objects, now);

    let (counts, services_aspect) = count(&services, objects);
    let mut aspects: Vec<Aspect> = servers
        .iter()
        .map(|Server { role, reason, part }| {
            let unknown = unanswered(objects, name_of(storefront), *role).filter(|_| part.ready);
            unknown.unwrap_or_else(|| aspect(role.condition(), reason, part))
        })
        .collect();
    // A server that keeps its image is ready itself; only the shop as a whole is not.
    let kept = trial.as_ref().map(|(reason, part)| {
        Aspect::no("Ready", reason, part.message.clone()).stalling(part.stalls)
    });
    let mut rest = vec![
        services_aspect,
        aspect("GatewayProgrammed", unprogrammed, &gateway),
    ];
    rest.extend(mail(storefront, objects));
    let held = bindings::held(objects, name_of(storefront));
    let mut all = aspects.clone();
    all.extend(kept);
    all.extend(held.iter().map(|part| aspect("Ready", HELD, part)));
    all.extend(rest.clone());
    aspects.extend(rest);
    let blocker = servers
        .iter()
        .map(|server| &server.part)
        .chain(trial.as_ref().map(|(_, part)| part))
        .chain(&held)
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
fn count(services: &[Part], objects: &Objects<Applied>) -> (ServiceCounts, Aspect) {
    let total = services.len();
    let ready = services.iter().filter(|part| part.ready).count();
    let counts = ServiceCounts {
        ready: i32::try_from(ready).unwrap_or(i32::MAX),
        total: i32::try_from(total).unwrap_or(i32::MAX),
        summary: format!("{ready}/{total}"),
    };
    let mut open = services.iter().filter(|part| !part.ready);
    let first = open.clone().next();
    let aspect = match open.find(|part| part.stalls).or(first) {
        None => Aspect::yes(
            "ServicesReady",
            "Ready",
            format!("all {total} services are ready"),
        ),
        Some(part) => Aspect::no(
            "ServicesReady",
            limited(part, objects)
                .as_deref()
                .unwrap_or("ServicesNotReady"),
            format!(
                "{ready} of {total} services are ready{}; {}",
                serving(services, ready, objects),
                blocked(part)
            ),
        )
        .stalling(part.stalls),
    };
    (counts, aspect)
}

/// The reason of a service that is busy with work that has a deadline of its own, which counts for the shop too.
fn limited(part: &Part, objects: &Objects<Applied>) -> Option<String> {
    let service = objects.get::<ServiceDeployment>(&part.name)?;
    let list = service.status?.conditions;
    let reason = conditions::find(&list, "Ready")?.reason.clone();
    (!part.stalls && conditions::has_deadline(&reason)).then_some(reason)
}

fn aspect(type_: &'static str, reason: &str, part: &Part) -> Aspect {
    if part.ready && part.kind == "Secret" {
        let text = format!("the shop uses the external server of Secret {}", part.name);
        Aspect::yes(type_, "External", text)
    } else if part.ready {
        Aspect::yes(
            type_,
            "Ready",
            format!("{} {} is ready", part.kind, part.name),
        )
    } else {
        Aspect::no(type_, reason, blocked(part)).stalling(part.stalls)
    }
}

/// Names the child, since when, and why. The text must be the same until something changes, so it has
/// an instant and no duration.
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

/// Since when a condition has not been true.
fn since(storefront: &Storefront, type_: &str, now: Timestamp) -> Time {
    let status = storefront.status.as_ref();
    let known = status.map_or(&[][..], |status| &status.conditions);
    conditions::find(known, type_)
        .filter(|c| !c.is_true())
        .map_or_else(
            || conditions::whole_second(now),
            |c| c.last_transition_time.clone(),
        )
}

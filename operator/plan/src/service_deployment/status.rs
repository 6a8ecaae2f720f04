use crds::{FailingDependency, ServiceDeployment, ServiceDeploymentStatus};
use gateway_routes::api::HTTPRoute;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentCondition};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::Pod;

use super::{
    checks::PATH_TAKEN,
    desired, routes,
    valid::{Migration, Taken, Valid},
    workload::{self, Kind},
};
use crate::{
    Applied, Objects, Outcome, Planned,
    conditions::{self, Aspect},
    leaving,
    objects::AUTOSCALED,
    podless::{cause, refused},
    pods,
    probe::{self, Asking, Target},
    scaling,
    trouble::{PodsOf, trouble},
};

/// The ServiceDeployment's status after a reconciliation.
pub fn status(
    service: &ServiceDeployment,
    outcome: &Outcome<'_, Valid>,
    now: Timestamp,
) -> ServiceDeploymentStatus {
    let valid = outcome.valid();
    let previous = service.status.clone().unwrap_or_default();
    let generation = service.metadata.generation;
    let mut status = ServiceDeploymentStatus {
        observed_generation: generation,
        ..previous.clone()
    };
    if let Some(valid) = valid {
        let labels = pods::selector(valid.app(), valid.name());
        let pairs: Vec<String> = labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
        status.selector = Some(pairs.join(","));
        status.inputs = Some(desired::digest(valid));
        status.migrated = match &valid.migration {
            Migration::Done { revision } => Some(revision.clone()),
            Migration::Unneeded => None,
            Migration::Running { .. } | Migration::Failed { .. } => previous.migrated.clone(),
        };
    }
    if let Some(seen) = outcome.seen() {
        let counts = deployment(service, seen).and_then(|found| found.status);
        let counts = counts.unwrap_or_default();
        status.replicas = counts.replicas.unwrap_or(0);
        status.ready_replicas = counts.ready_replicas.unwrap_or(0);
        if let Some(told) = probe::dependencies(seen) {
            let told = told.into_iter();
            let told = told.map(|(name, message)| FailingDependency { name, message });
            status.failing = told.collect();
        }
    }
    let known = &previous.conditions;
    // What can be seen is said, whatever else stands in the way; but who has a path is only known to a
    // reconciliation that may make its route.
    let partial = |mut aspects: Vec<Aspect>| {
        let seen = outcome.seen().into_iter();
        let found = seen.flat_map(|seen| found(service, &Taken::new(), seen));
        let is_taken =
            |type_| conditions::find(known, type_).is_some_and(|c| c.reason == PATH_TAKEN);
        aspects.extend(found.filter(|aspect| !is_taken(aspect.type_)));
        conditions::partial(known, &aspects, generation, now)
    };
    status.conditions = match outcome {
        Outcome::Applied { valid, objects } => {
            let parts = parts(valid, objects);
            let held = leaving::held_by_others(&valid.storefront, &service.metadata, None);
            let held = held.map(leaving::held).into_iter();
            let all: Vec<Aspect> = held.chain(parts.clone()).collect();
            let mut aspects = conditions::summary(&all);
            aspects.extend(parts);
            aspects.extend(idle_autoscaler(service, objects));
            conditions::conditions(known, &aspects, generation, now)
        }
        Outcome::Waiting(on, _) => {
            let mut aspects = conditions::reconciling(on.reason, &on.message);
            aspects.push(Aspect::no("BindingsReady", on.reason, on.message.clone()));
            partial(aspects)
        }
        Outcome::Invalid(why, _) => {
            let mut aspects = conditions::stalled(why.reason, &why.message);
            if why.reason == "MigrationFailed" {
                aspects.push(Aspect::no("Migrated", why.reason, why.message.clone()));
            }
            partial(aspects)
        }
        Outcome::Failed(text) => partial(conditions::reconciling("ReconcileFailed", text)),
        Outcome::Deleting(text) => partial(conditions::reconciling("Deleting", text)),
        Outcome::Paused(_) => partial(vec![Aspect::unknown(
            "Ready",
            "Paused",
            "spec.paused is true: the operator changes nothing, the pods keep running as they are",
        )]),
    };
    status
}

/// The children that the status is computed from, to be read and left as they are.
pub fn children(service: &ServiceDeployment) -> Objects<Planned> {
    let namespace = service.metadata.namespace.as_deref().unwrap_or_default();
    let mut objects = Objects::new();
    objects.keep::<Deployment>(namespace, name_of(service));
    for name in routes::names_of(service, &Taken::new()) {
        objects.keep::<HTTPRoute>(namespace, &name);
    }
    objects
}

/// There is such a condition only while the autoscaler of the workload does nothing. The pods that there are serve, so
/// it does not concern whether the workload is ready.
fn idle_autoscaler(service: &ServiceDeployment, objects: &Objects<Applied>) -> Option<Aspect> {
    let name = name_of(service);
    let scaler = objects.get::<HorizontalPodAutoscaler>(name)?;
    let why = scaling::idle(&scaler)?;
    Some(Aspect::no(
        "AutoscalerActive",
        "AutoscalerIdle",
        format!(
            "HorizontalPodAutoscaler {name} changes nothing: {why}; install metrics-server, or remove spec.replicas.max"
        ),
    ))
}

fn name_of(service: &ServiceDeployment) -> &str {
    service.metadata.name.as_deref().unwrap_or_default()
}

fn deployment(service: &ServiceDeployment, seen: &Objects<Applied>) -> Option<Deployment> {
    seen.get(name_of(service))
}

/// Workloads whose pods may explain why this one is not ready: their pods belong beside `seen`. None
/// while it is ready. `valid` is given where everything was applied.
pub fn unready(
    service: &ServiceDeployment,
    valid: Option<&Valid>,
    seen: &Objects<Applied>,
) -> Vec<PodsOf> {
    let mut whose = Vec::new();
    if let Some(Migration::Running { job }) = valid.map(Valid::migration) {
        whose.push(PodsOf::job(job));
    }
    if deployment(service, seen).is_some() && available(service, seen).holds != Some(true) {
        whose.push(pods_of(service));
    }
    whose
}

/// Whom to ask why the workload is not ready, or whether it does without anything.
pub fn asking(service: &ServiceDeployment, seen: &Objects<Applied>, now: Timestamp) -> Asking {
    let Some(counts) = deployment(service, seen).map(|found| found.status.unwrap_or_default())
    else {
        return Asking::default();
    };
    let spec = &service.spec;
    let (port, readiness) = workload::endpoint(spec, Kind::Readiness);
    let target = Target {
        service: (
            service.metadata.namespace.as_deref().unwrap_or_default(),
            name_of(service),
        ),
        port,
        readiness,
        liveness: workload::endpoint(spec, Kind::Liveness).1,
        is_known: workload::is_known(spec),
    };
    let of = pods_of(service);
    let pods = seen.all::<Pod>().map(|(_, pod)| pod);
    let is_available = counts.available_replicas.unwrap_or(0) > 0;
    probe::asking(&target, pods.filter(|pod| of.has(pod)), is_available, now)
}

fn pods_of(service: &ServiceDeployment) -> PodsOf {
    PodsOf::deployment(name_of(service))
}

fn migrating(objects: &Objects<Applied>, job: &str) -> Aspect {
    let of = PodsOf::job(job);
    let trouble = trouble(objects, &of).or_else(|| refused(objects, &of));
    let (reason, why, stalls) = match trouble {
        Some(it) => (it.reason, format!(": {}", it.message), it.stalls),
        None => ("Migrating", String::new(), false),
    };
    let text = format!("waiting for Job {job} to complete; existing pods keep running{why}");
    Aspect::no("Migrated", reason, text).stalling(stalls)
}

fn parts(valid: &Valid, objects: &Objects<Applied>) -> Vec<Aspect> {
    let mut parts = vec![
        Aspect::yes(
            "BindingsReady",
            "Ready",
            format!("{} bindings are mounted", valid.mounts.len()),
        ),
        match &valid.migration {
            Migration::Unneeded => {
                Aspect::yes("Migrated", "Unneeded", "there is nothing to migrate")
            }
            Migration::Done { .. } => {
                Aspect::yes("Migrated", "Done", "the migration of this revision has run")
            }
            Migration::Running { job } => migrating(objects, job),
            Migration::Failed { job, .. } => {
                Aspect::no("Migrated", "MigrationFailed", format!("Job {job} failed"))
            }
        },
    ];
    parts.extend(found(&valid.service, &valid.taken, objects));
    parts
}

/// Conditions from the children, whichever reconciliation applied them.
fn found(service: &ServiceDeployment, taken: &Taken, objects: &Objects<Applied>) -> Vec<Aspect> {
    let mut found = vec![available(service, objects)];
    if !service.spec.routes.is_empty() {
        found.push(routed(service, taken, objects));
    }
    found
}

fn routed(service: &ServiceDeployment, taken: &Taken, objects: &Objects<Applied>) -> Aspect {
    let no = |reason, text: String| Aspect::no("RoutesAccepted", reason, text);
    let others: Vec<String> = taken
        .iter()
        .map(|(path, owner)| format!("{path} belongs to ServiceDeployment {owner}"))
        .collect();
    if !others.is_empty() {
        let text = format!(
            "spec.routes: {}, which is older; choose another path",
            others.join(", ")
        );
        return no(PATH_TAKEN, text).stalling(true);
    }
    let routes = routes::names_of(service, taken);
    if let Some(text) = routes.iter().find_map(|name| refusal(objects, name)) {
        return no("RoutesNotAccepted", text);
    }
    let text = "the gateway serves every route";
    Aspect::yes("RoutesAccepted", "Accepted", text)
}

/// Whether the newest revision serves: all of its pods, not some of the old ones. A pod that knows why
/// not gives the reason.
fn available(service: &ServiceDeployment, objects: &Objects<Applied>) -> Aspect {
    let no = |reason: &str, text: String| Aspect::no("Available", reason, text);
    let name = name_of(service);
    let Some(deployment) = deployment(service, objects) else {
        return no("NoPods", format!("Deployment {name} does not exist yet"));
    };
    let status = deployment.status.clone().unwrap_or_default();
    let conditions = status.conditions.clone().unwrap_or_default();
    let find = |type_: &str| {
        conditions
            .iter()
            .find(|c: &&DeploymentCondition| c.type_ == type_)
    };
    let least = least(service, &deployment);
    let total = status.replicas.unwrap_or(0);
    let updated = status.updated_replicas.unwrap_or(0);
    let ready = status.available_replicas.unwrap_or(0);
    let since = find("Available")
        .filter(|c| c.status != "True")
        .and_then(|c| c.last_transition_time.as_ref())
        .map(|time| format!(" since {}", time.0))
        .unwrap_or_default();
    let stuck = find("Progressing").filter(|c| c.status == "False");
    // More pods than the least may be on their way up: that is scaling, not trouble.
    let lacks = updated < total.max(least) || ready < least;
    if (stuck.is_some() || lacks)
        && let Some(held_up) = held_up(service, objects, &since, stuck)
    {
        return held_up;
    }
    if let Some(failing) = find("ReplicaFailure").filter(|c| c.status == "True") {
        let said = failing.message.as_deref().unwrap_or_default();
        return no(
            "PodsRefused",
            format!("Deployment {name} cannot make pods: {}", cause(said)),
        )
        .stalling(true);
    }
    if status.observed_generation != deployment.metadata.generation {
        return no(
            "RollingOut",
            format!("Deployment {name} has just been changed"),
        );
    }
    if lacks {
        return no(
            "RollingOut",
            format!(
                "Deployment {name}: {updated} of {} pods are of the newest revision, {ready} of at least {least} are available{since}",
                total.max(least)
            ),
        );
    }
    Aspect::yes(
        "Available",
        "Available",
        format!("{ready} pods are available"),
    )
}

/// The fewest pods that there shall be. Whoever else scales the workload may have decided on fewer than the spec says.
fn least(service: &ServiceDeployment, deployment: &Deployment) -> i32 {
    let least = service.spec.replicas.min;
    let annotations = deployment.metadata.annotations.as_ref();
    let is_scaled = annotations.is_some_and(|all| all.contains_key(AUTOSCALED));
    let pods = deployment.spec.as_ref().and_then(|spec| spec.replicas);
    match pods {
        Some(pods) if is_scaled => least.min(pods.max(1)),
        Some(_) | None => least,
    }
}

/// Why a rollout does not go on: what its pods report, what they answer, or that it has used up its time.
fn held_up(
    service: &ServiceDeployment,
    objects: &Objects<Applied>,
    since: &str,
    stuck: Option<&DeploymentCondition>,
) -> Option<Aspect> {
    let name = name_of(service);
    let no = |reason: &str, text: String, stalls| {
        let text = format!("Deployment {name} has not progressed{since}: {text}");
        Some(Aspect::no("Available", reason, text).stalling(stalls))
    };
    // A rollout that has used up its time does not go on by itself.
    let is_stuck = stuck.is_some();
    let asked = probe::refused(objects);
    if let Some(trouble) = trouble(objects, &pods_of(service)) {
        // A program that is ended for its probe does not know why.
        let text = match asked {
            Some(why) => format!("{}. {why}", trouble.message),
            None => trouble.message,
        };
        return no(trouble.reason, text, trouble.stalls || is_stuck);
    }
    if let Some(why) = asked {
        return no("ProbeFailing", why, is_stuck);
    }
    let text = stuck?.message.clone().unwrap_or_default();
    let see = format!("kubectl describe pod -l app.kubernetes.io/instance={name}");
    no("RolloutStuck", format!("{text} See `{see}`"), true)
}

fn refusal(objects: &Objects<Applied>, name: &str) -> Option<String> {
    let Some(route) = objects.get::<HTTPRoute>(name) else {
        return Some(format!("HTTPRoute {name} does not exist yet"));
    };
    let generation = route.metadata.generation;
    let parents = route.status.map(|s| s.parents).unwrap_or_default();
    let Some(parent) = parents.first() else {
        return Some(format!("no gateway has accepted HTTPRoute {name} yet"));
    };
    ["Accepted", "ResolvedRefs"].into_iter().find_map(|type_| {
        let Some(c) = parent.conditions.iter().find(|c| c.type_ == type_) else {
            return Some(format!(
                "the gateway has not reported {type_} of HTTPRoute {name} yet"
            ));
        };
        if c.status == "True" && c.observed_generation == generation {
            return None;
        }
        Some(format!(
            "HTTPRoute {name}: {type_} is {} ({}) {}",
            c.status, c.reason, c.message
        ))
    })
}

//! Volumes of the servers that the operator runs: the claims of their StatefulSets, and how they grow.
//!
//! ## How a volume grows
//! The claim templates of a StatefulSet cannot be changed. So the claims that exist are given the new size first, and
//! then the set is made anew around its running pods (see the operator's applier). A kill in between leaves claims that
//! are large enough and a set whose template differs, which is where the next reconciliation goes on. Where the API
//! server refuses to let a claim grow, the set stays as it is, and what depends on the size goes by what the set has.
//!
//! ## A claim that somebody deletes
//! Kubernetes keeps it as long as a pod uses it, and nobody can take its deletion back. So its server runs on, and the end
//! of its pod, for whatever reason, is the end of its data. The operator is not to be that reason: the set is left as it is
//! ([`hold`]) until the claim is gone, and the status says what a person can do ([`being_deleted`]).

use std::collections::BTreeMap;

use crds::StorefrontSpec;
use k8s_openapi::{
    api::{
        apps::v1::StatefulSet,
        core::v1::{PersistentVolumeClaim, PersistentVolumeClaimSpec, VolumeResourceRequirements},
    },
    apimachinery::pkg::{
        api::resource::Quantity,
        apis::meta::v1::{ObjectMeta, Time},
    },
};

use super::{embedded::Embedded, role::Role};
use crate::{
    Applied, Live, Mode, Objects, Planned, objects::key_of, pods, readiness::Part, size::nano,
    storefront::Valid,
};

/// Name of the volume of a pod of a StatefulSet.
const VOLUME: &str = "data";
/// Kind of what a pod's volume is claimed by.
const CLAIM: &str = "PersistentVolumeClaim";
/// Reason of a server's condition while a claim of it is being deleted.
const BEING_DELETED: &str = "VolumeBeingDeleted";

/// Names of the claims that a server's set has made, and the labels that the set gives them.
pub(super) fn claims(
    spec: &StorefrontSpec,
    shop: &str,
    server: &Embedded,
) -> Vec<(String, BTreeMap<String, String>)> {
    let set = format!("{shop}-{}", server.part);
    let labels = pods::selector(server.part, &set);
    (0..(server.volumes)(spec))
        .map(|number| (format!("{VOLUME}-{set}-{number}"), labels.clone()))
        .collect()
}

/// The claim template of a server's set.
pub(super) fn claim(
    valid: &Valid,
    server: &Embedded,
    class: Option<String>,
) -> PersistentVolumeClaim {
    PersistentVolumeClaim {
        metadata: ObjectMeta {
            name: Some(VOLUME.into()),
            ..ObjectMeta::default()
        },
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec!["ReadWriteOnce".into()]),
            storage_class_name: class,
            ..spec_of(&wanted(valid, server))
        }),
        status: None,
    }
}

fn spec_of(size: &str) -> PersistentVolumeClaimSpec {
    let size = ("storage".to_owned(), Quantity(size.to_owned()));
    PersistentVolumeClaimSpec {
        resources: Some(VolumeResourceRequirements {
            requests: Some(BTreeMap::from([size])),
            limits: None,
        }),
        ..PersistentVolumeClaimSpec::default()
    }
}

/// Plans the growth of the claims of a server whose set has smaller ones than it should.
pub(super) fn plan_growth(valid: &Valid, server: &Embedded, objects: &mut Objects<Planned>) {
    let size = wanted(valid, server);
    if granted(valid, server).is_none_or(|granted| granted == size) || is_held(valid, server) {
        return;
    }
    for (name, labels) in claims(&valid.storefront.spec, valid.name(), server) {
        let claim = PersistentVolumeClaim {
            metadata: ObjectMeta {
                name: Some(name),
                namespace: Some(valid.scope.namespace.clone()),
                labels: Some(labels),
                ..ObjectMeta::default()
            },
            spec: Some(spec_of(&size)),
            status: None,
        };
        objects.push(Mode::Grow, &claim);
    }
}

/// The size that each volume of a server has been given: that of its set, or the spec's where there is no set yet.
pub(super) fn known(valid: &Valid, server: &Embedded) -> String {
    granted(valid, server).unwrap_or_else(|| of_spec(valid, server).to_owned())
}

/// The size that each volume of a server shall have. None shrinks, whatever the spec says, and a shop that is being
/// deleted changes none.
fn wanted(valid: &Valid, server: &Embedded) -> String {
    let wanted = of_spec(valid, server);
    let is_leaving = valid.storefront.metadata.deletion_timestamp.is_some();
    match granted(valid, server) {
        Some(granted) if is_leaving || nano(&granted) >= nano(wanted) => granted,
        Some(_) | None => wanted.to_owned(),
    }
}

fn of_spec<'a>(valid: &'a Valid, server: &Embedded) -> &'a str {
    (server.storage)(&valid.storefront.spec).unwrap_or_default()
}

fn granted(valid: &Valid, server: &Embedded) -> Option<String> {
    size_of(&valid.seen.servers, &valid.child(server.part))
}

/// The size of the volumes of a StatefulSet among these.
pub(super) fn size_of(objects: &Objects<Applied>, set: &str) -> Option<String> {
    let set = objects.get::<StatefulSet>(set)?;
    let claim = set.spec?.volume_claim_templates?.into_iter().next()?;
    let mut requests = claim.spec?.resources?.requests?;
    requests.remove("storage").map(|size| size.0)
}

/// Leaves the set of a server as it is while a claim of it is being deleted.
pub(super) fn hold(valid: &Valid, server: &Embedded, objects: &mut Objects<Planned>) {
    if !is_held(valid, server) {
        return;
    }
    let set = key_of::<StatefulSet>(&valid.scope.namespace, &valid.child(server.part));
    for item in objects.items.iter_mut().filter(|item| item.key == set) {
        item.mode = Mode::Keep;
    }
}

fn is_held(valid: &Valid, server: &Embedded) -> bool {
    leaving(&valid.seen.servers, &valid.child(server.part)).is_some()
}

/// A server of which a claim is being deleted, as the status reports it.
pub(super) fn being_deleted(
    role: Role,
    set: &str,
    valid: Option<&Valid>,
    objects: &Objects<Applied>,
) -> Option<Part> {
    let planned_with = valid.map(|valid| &valid.seen.servers);
    let mut sources = [Some(objects), planned_with].into_iter().flatten();
    let (claim, since) = sources.find_map(|source| leaving(source, set))?;
    let pod = claim.strip_prefix("data-").unwrap_or(claim);
    let remedy = match role {
        Role::Database => format!(
            "its data are gone as soon as pod {pod} ends, and nobody can take the deletion back. Keep them now: set \
             persistentVolumeReclaimPolicy of its PersistentVolume to Retain, and take dumps (runbook \"A volume is being \
             deleted\")"
        ),
        Role::Bus | Role::Cache => format!(
            "its data are gone as soon as pod {pod} ends, and nobody can take the deletion back. What it holds is published \
             again from the databases: delete pod {pod} when a short pause of the events does not matter"
        ),
    };
    Some(Part {
        kind: CLAIM,
        name: claim.to_owned(),
        ready: false,
        since: Some(since.clone()),
        message: format!(
            "it is being deleted: {remedy}. Until it is gone the operator changes nothing of StatefulSet {set}"
        ),
        pods: None,
        stalls: true,
    })
}

/// The reason of a server's condition, if it is about a claim that is being deleted.
pub(crate) fn reason(part: &Part) -> Option<&'static str> {
    (part.kind == CLAIM).then_some(BEING_DELETED)
}

/// The first claim of a set, among these objects, that is being deleted, and since when.
fn leaving<'a>(objects: &'a Objects<Applied>, set: &str) -> Option<(&'a str, &'a Time)> {
    objects.items.iter().find_map(|item| match &item.live {
        Live::Leaving(since) if set_of(&item.key.name) == Some(set) => {
            Some((item.key.name.as_str(), since))
        }
        _ => None,
    })
}

/// The set that makes claims of this name.
pub(crate) fn set_of(claim: &str) -> Option<&str> {
    let rest = claim.strip_prefix(VOLUME)?.strip_prefix('-')?;
    let (set, number) = rest.rsplit_once('-')?;
    number.parse::<u32>().ok().map(|_| set)
}

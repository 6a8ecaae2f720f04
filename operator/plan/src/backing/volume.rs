//! Volumes of the servers that the operator runs: the claims of their StatefulSets, and how they grow.
//!
//! ## How a volume grows
//! The claim templates of a StatefulSet cannot be changed. So the claims that exist are given the new size first, and
//! then the set is made anew around its running pods (see the operator's applier). A kill in between leaves claims that
//! are large enough and a set whose template differs, which is where the next reconciliation goes on. Where the API
//! server refuses to let a claim grow, the set stays as it is, and what depends on the size goes by what the set has.

use std::collections::BTreeMap;

use crds::StorefrontSpec;
use k8s_openapi::{
    api::{
        apps::v1::StatefulSet,
        core::v1::{PersistentVolumeClaim, PersistentVolumeClaimSpec, VolumeResourceRequirements},
    },
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::ObjectMeta},
};

use super::embedded::Embedded;
use crate::{Applied, Mode, Objects, Planned, pods, size::nano, storefront::Valid};

/// Name of the volume of a pod of a StatefulSet.
const VOLUME: &str = "data";

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
    if granted(valid, server).is_none_or(|granted| granted == size) {
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

//! Deletion of a shop: services first, then databases while their server still runs, then the rest.

use crds::{DatabaseBinding, ServiceDeployment};
use k8s_openapi::{
    api::{
        apps::v1::StatefulSet,
        core::v1::{PersistentVolumeClaim, Secret},
    },
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use service_catalogue::Service;

use super::{Valid, catalogue, desired};
use crate::{
    Mode, ObjectKey, Objects, Planned, backing,
    objects::{key_of, planned},
};

/// The children that still exist, found by the owner label.
#[derive(Clone, Debug, Default)]
pub struct Live {
    /// Services of the shop itself (a team's services stay).
    pub services: Vec<ServiceDeployment>,
    /// Databases of the shop itself.
    pub bindings: Vec<DatabaseBinding>,
}

/// The next step of a deletion. Repeat until `waiting_for` is `None`; then remove the finalizer, and
/// the garbage collector takes what is left.
#[derive(Clone, Debug, PartialEq)]
pub struct Teardown {
    /// Write these first: they pass the deletion policy on to the objects that it applies to.
    pub apply: Objects<Planned>,
    /// Then let these claims go with the Storefront: they name it as their owner, beside whom they have. Only
    /// one with these labels is the shop's.
    pub volumes: Vec<PersistentVolumeClaim>,
    /// Then delete these; those that are being deleted already are not listed again.
    pub delete: Vec<ObjectKey>,
    /// What still exists, for the status; `None`: nothing.
    pub waiting_for: Option<String>,
}

/// Plans the next step of the deletion of a shop.
pub fn teardown(valid: &Valid, live: &Live) -> Teardown {
    let namespace = &valid.scope.namespace;
    if !live.services.is_empty() {
        let names: Vec<&str> = live
            .services
            .iter()
            .filter_map(|s| s.metadata.name.as_deref())
            .collect();
        return Teardown {
            apply: policies(valid, live),
            volumes: Vec::new(),
            delete: live
                .services
                .iter()
                .filter(|s| s.metadata.deletion_timestamp.is_none())
                .filter_map(|s| s.metadata.name.as_deref())
                .map(|name| key_of::<ServiceDeployment>(namespace, name))
                .collect(),
            waiting_for: Some(format!(
                "waiting for the services {} to be deleted",
                names.join(", ")
            )),
        };
    }
    if live.bindings.is_empty() {
        return Teardown {
            apply: policies(valid, live),
            // Last, when every database that was to be dumped has been.
            volumes: volumes(valid),
            delete: Vec::new(),
            waiting_for: None,
        };
    }
    let outdated = live.bindings.iter().any(|b| is_outdated(valid, b));
    let names: Vec<&str> = live
        .bindings
        .iter()
        .filter_map(|b| b.metadata.name.as_deref())
        .collect();
    Teardown {
        apply: policies(valid, live),
        volumes: Vec::new(),
        // A binding must have the policy before it is deleted.
        delete: if outdated {
            Vec::new()
        } else {
            undeleted(namespace, live)
        },
        waiting_for: Some(format!(
            "waiting for the databases {} to be released (deletionPolicy {:?})",
            names.join(", "),
            valid.storefront.spec.deletion_policy
        )),
    }
}

/// The claims that go with the shop; none where they are to be retained.
fn volumes(valid: &Valid) -> Vec<PersistentVolumeClaim> {
    if valid.retains() {
        return Vec::new();
    }
    // Not as their controller, which they do not have.
    let owner = OwnerReference {
        controller: None,
        block_owner_deletion: None,
        ..valid.scope.owner.clone()
    };
    let claims = backing::claims(&valid.storefront.spec, valid.name());
    claims
        .map(|(name, labels)| PersistentVolumeClaim {
            metadata: ObjectMeta {
                name: Some(name),
                namespace: Some(valid.scope.namespace.clone()),
                labels: Some(labels),
                owner_references: Some(vec![owner.clone()]),
                ..ObjectMeta::default()
            },
            ..PersistentVolumeClaim::default()
        })
        .collect()
}

fn undeleted(namespace: &str, live: &Live) -> Vec<ObjectKey> {
    live.bindings
        .iter()
        .filter(|b| b.metadata.deletion_timestamp.is_none())
        .filter_map(|b| b.metadata.name.as_deref())
        .map(|name| key_of::<DatabaseBinding>(namespace, name))
        .collect()
}

fn is_outdated(valid: &Valid, binding: &DatabaseBinding) -> bool {
    binding.metadata.deletion_timestamp.is_none()
        && binding.spec.reclaim_policy != valid.storefront.spec.deletion_policy
}

/// Passes the policy on to everything that decides about data: Secrets (owned or not), volumes (kept or
/// not), bindings. Only objects that exist are written; nothing is created again.
fn policies(valid: &Valid, live: &Live) -> Objects<Planned> {
    let carriers = desired(valid).items.into_iter().filter(|item| {
        let is_set = item.key == key_of::<StatefulSet>(&item.key.namespace, &item.key.name);
        let is_secret = item.key == key_of::<Secret>(&item.key.namespace, &item.key.name);
        is_set || (is_secret && valid.seen.own.contains_key(&item.key.name))
    });
    let bindings = live
        .bindings
        .iter()
        .filter(|b| is_outdated(valid, b))
        .map(|live| {
            let service = Service::ALL.into_iter().find(|service| {
                live.metadata.name.as_deref() == Some(valid.child(service.name()).as_str())
            });
            // A database of a service that this release no longer has differs by its name only.
            let service = service.unwrap_or(Service::Auth);
            let policy = valid.storefront.spec.deletion_policy;
            let mut binding = catalogue::database_binding(valid, service, policy);
            binding.metadata.name.clone_from(&live.metadata.name);
            // Fails where the object has changed since; that it is not created again is the operator's duty.
            binding
                .metadata
                .resource_version
                .clone_from(&live.metadata.resource_version);
            planned(Mode::Apply, &binding)
        });
    carriers.chain(bindings).collect()
}

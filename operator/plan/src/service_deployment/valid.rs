//! A ServiceDeployment that can be acted on, with what was found about it.

use std::{collections::BTreeMap, sync::Arc};

use crds::{ServiceDeployment, Storefront};

use crate::{Platform, pods::Scope, release::Release, storefront::Data};

/// Paths that an older workload serves, each with the name of that workload.
pub(super) type Taken = BTreeMap<String, String>;

/// A ServiceDeployment that can be acted on.
#[derive(Clone, Debug)]
pub struct Valid {
    pub(super) service: ServiceDeployment,
    pub(super) storefront: Arc<Storefront>,
    pub(super) scope: Scope,
    pub(super) platform: Platform,
    /// The release of its shop.
    pub(super) release: Release,
    /// Folder under `/bindings` and the Secret in it, by folder.
    pub(super) mounts: BTreeMap<String, String>,
    /// Hash of each mounted Secret, by folder.
    pub(super) contents: BTreeMap<String, String>,
    /// Its bindings to the bus and the cache.
    pub(super) bound: Vec<Bound>,
    /// How often a database took the place of a lost one, by the folder of its binding; only those that did.
    pub(super) recreated: BTreeMap<String, i64>,
    /// Whether a DatabaseBinding is among the bindings.
    pub(super) uses_database: bool,
    pub(super) migration: Migration,
    /// Whether an autoscaler of somebody else decides how many pods there are.
    pub(super) is_scaled: bool,
    /// Paths of the spec that an older workload has.
    pub(super) taken: Taken,
}

impl Valid {
    /// Name of the object, and of nearly every object that is made for it.
    pub fn name(&self) -> &str {
        &self.scope.owner.name
    }

    /// Progress of the migration of this revision.
    pub fn migration(&self) -> &Migration {
        &self.migration
    }

    /// The name without that of the shop: `auth` of `demo-auth`.
    pub(super) fn app(&self) -> &str {
        let rest = self.name().strip_prefix(self.shop());
        rest.and_then(|rest| rest.strip_prefix('-'))
            .unwrap_or(self.name())
    }

    pub(super) fn shop(&self) -> &str {
        &self.service.spec.storefront_ref.name
    }
}

/// What is bound for a part of the platform.
#[derive(Clone, Debug)]
pub(super) struct Bound {
    /// Folder under `/bindings`.
    pub(super) folder: &'static str,
    /// Name of the Secret.
    pub(super) secret: String,
    /// Hash of its content.
    pub(super) hash: String,
    /// Type and content, where it is made for this workload.
    pub(super) made: Option<(&'static str, Data)>,
}

/// Progress of the migration of a revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Migration {
    /// There is nothing to migrate.
    Unneeded,
    /// The Job has not ended.
    Running {
        /// Its name.
        job: String,
    },
    /// The Job has completed, now or earlier.
    Done {
        /// What distinguishes this revision: the end of the Job's name.
        revision: String,
    },
    /// The Job has given up.
    Failed {
        /// Its name.
        job: String,
        /// Whether it took longer than it may.
        is_late: bool,
    },
}

impl Migration {
    /// Whether pods of this revision may start.
    pub fn is_past(&self) -> bool {
        matches!(self, Self::Unneeded | Self::Done { .. })
    }
}

//! What is known about the cluster when a shop is planned.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;

use super::material::{Data, Fresh, Minted};
use crate::{Applied, Objects, clients::Client};

/// What is known about the cluster around a Storefront.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// When it was observed.
    pub now: Timestamp,
    /// The shop's own Secrets that exist, by name: those of [`super::Needs::own`].
    pub own: BTreeMap<String, Data>,
    /// The user's Secrets that exist, by name: those of [`super::Needs::referenced`].
    pub referenced: BTreeMap<String, Data>,
    /// The live ones of [`super::servers`].
    pub servers: Objects<Applied>,
    /// The shop's own Jobs, by name.
    pub jobs: BTreeMap<String, Job>,
    /// Its services that an autoscaler of somebody else scales, by the names of their ServiceDeployments.
    pub scaled: BTreeSet<String>,
    /// The workloads of teams that use the bus or the cache, see [`super::team_clients`].
    pub clients: Vec<Client>,
    /// The shop's hostnames that other shops have as well, see [`super::shared_hosts`].
    pub shared_hosts: BTreeMap<String, String>,
    /// New random material: what [`super::missing_material`] asks for, given `own`.
    pub fresh: Fresh,
    /// A certificate that takes the place of the one in `own`, where that is due.
    pub minted: Option<Minted>,
}

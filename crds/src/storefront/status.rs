//! Observed state of a shop.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::{Condition, LocalRef};

/// Observed state of a Storefront.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct StorefrontStatus {
    /// The newest generation that was reconciled, also when that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, DatabaseReady, QueueReady, CacheReady, MailReady, ServicesReady, GatewayProgrammed; Reconciling, Stalled and
    /// HostnameShared and UpdateAvailable only while true.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// The release that the shop runs. An upgrade of the operator does not change it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The operator's release, while it is newer than that of the shop. What it would change is in the condition
    /// UpdateAvailable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub available_version: Option<String>,
    /// Revision of the templates that the shop's pods are made from. A newer operator keeps to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub templates: Option<i32>,
    /// Where the images of the shop's release are. A newer operator keeps to them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<ReleaseImages>,
    /// URL of the shop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Issuer of the shop's tokens: the URL that the shop had first. It does not follow later host names or TLS, so
    /// that tokens stay valid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// The Secret with the login of the first administrator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin_secret_ref: Option<LocalRef>,
    /// Number of services that are ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub services: Option<ServiceCounts>,
    /// Sizes that the volumes of the shop's servers have been given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volumes: Option<VolumeSizes>,
    /// First child that is not ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked_by: Option<Blocker>,
    /// The operator that reconciles the shop, by the namespace of its Lease. Another operator leaves the namespace
    /// of the shop alone while that one holds its Lease and watches the namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<String>,
}

/// Where the images of a release are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseImages {
    /// Registry and path.
    #[schemars(length(max = 512))]
    pub registry: String,
    /// Their tag.
    #[schemars(length(max = 128))]
    pub tag: String,
    /// Digests by the name of the image; they take the place of the tag.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    pub digests: BTreeMap<String, String>,
}

/// Sizes of the volumes of the servers that the operator runs. A size of the spec that is larger has not been granted
/// yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct VolumeSizes {
    /// That of the database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub database: Option<String>,
    /// That of each server of the event bus.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub queue: Option<String>,
}

/// Number of services that are ready.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceCounts {
    /// Services that are ready.
    pub ready: i32,
    /// All services of the shop.
    pub total: i32,
    /// Both as text for the printer column, such as `6/7`.
    pub summary: String,
}

/// A child that is not ready.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Blocker {
    /// Kind of the child.
    pub kind: String,
    /// Name of the child.
    pub name: String,
    /// Since when it has not been ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// Why it is not ready.
    pub message: String,
}

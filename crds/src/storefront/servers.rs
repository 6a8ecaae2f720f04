//! The backing servers of a shop: database, event bus, cache.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::{BackupVolume, LocalRef, PodSettings, Resources, Rotation, common::size_of_volume};

/// The database server: exactly one of `embedded` and `external`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.embedded) != has(self.external)")
    .message("spec.database: give exactly one of embedded or external"))]
pub struct Database {
    /// A PostgreSQL that the operator runs for this shop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedded: Option<EmbeddedPostgres>,
    /// An existing PostgreSQL server (RDS, Aurora, Cloud SQL, your own).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalPostgres>,
    /// The volumes of the dumps that `deletionPolicy: BackupThenDelete` takes, one for each database. Absent: 5Gi
    /// of the cluster's default StorageClass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<BackupVolume>,
    /// When the credentials of the shop's own databases are rotated automatically. Absent: never. Any new value of the
    /// annotation `storefront.dev/rotate` of a DatabaseBinding rotates its own too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<Rotation>,
}

impl Default for Database {
    fn default() -> Self {
        Self {
            embedded: Some(EmbeddedPostgres::default()),
            external: None,
            backup: None,
            rotation: None,
        }
    }
}

/// One PostgreSQL instance with a volume.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.storageClassName) == has(oldSelf.storageClassName) && (!has(self.storageClassName) || self.storageClassName == oldSelf.storageClassName)")
    .message("spec.database.embedded.storageClassName is immutable: the class of a volume cannot change"))]
pub struct EmbeddedPostgres {
    /// Size of the volume. It can grow, where the StorageClass allows that (`allowVolumeExpansion`), and never shrinks.
    #[serde(default = "five_gibibytes")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = size_of_volume("spec.database.embedded.storage"))]
    pub storage: String,
    /// StorageClass of the volume. Absent: the cluster's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub storage_class_name: Option<String>,
    /// CPU and memory. A field that is left out keeps the shop's, else the platform's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Placement, priority, labels and annotations of the pods; over those of `spec.pods`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pods: Option<Box<PodSettings>>,
}

fn five_gibibytes() -> String {
    "5Gi".into()
}

impl Default for EmbeddedPostgres {
    fn default() -> Self {
        Self {
            storage: five_gibibytes(),
            storage_class_name: None,
            resources: None,
            pods: None,
        }
    }
}

/// A PostgreSQL server that the user runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExternalPostgres {
    /// A Secret in the same namespace with `host`, `port`, `username`, `password` of a role that may create roles and databases.
    pub admin_secret_ref: LocalRef,
}

/// The event bus.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Queue {
    /// NATS JetStream, run by the operator for this shop.
    #[serde(default)]
    pub nats: Nats,
}

/// One NATS server or three, each with a volume; every acknowledged message has been synced to disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.storageClassName) == has(oldSelf.storageClassName) && (!has(self.storageClassName) || self.storageClassName == oldSelf.storageClassName)")
    .message("spec.queue.nats.storageClassName is immutable: the class of a volume cannot change"))]
pub struct Nats {
    /// Number of servers. Three form a Raft cluster: each message is stored on three volumes and acknowledged
    /// once two have it, so that events keep flowing while one server is down. Immutable.
    #[serde(default = "one_server")]
    #[schemars(range(min = 1, max = 3))]
    #[x_kube(
        validation = Rule::new("self == 1 || self == 3").message("spec.queue.nats.replicas: give 1 or 3; with two servers there is no majority when one is down"),
        validation = Rule::new("self == oldSelf").message("spec.queue.nats.replicas is immutable: a single server's stream cannot become a cluster's; create another Storefront and restore into it")
    )]
    pub replicas: i32,
    /// Size of each server's volume, at least 1536Mi. It can grow, where the StorageClass allows that
    /// (`allowVolumeExpansion`), and never shrinks.
    #[serde(default = "two_gibibytes")]
    #[schemars(length(max = 16))]
    #[x_kube(
        validation = size_of_volume("spec.queue.nats.storage"),
        validation = Rule::new("!isQuantity(self) || !quantity(self).isLessThan(quantity('1536Mi'))")
            .message("spec.queue.nats.storage: give 1536Mi or more, because the shop's stream reserves 1Gi")
    )]
    pub storage: String,
    /// StorageClass of the volumes. Absent: the cluster's default. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub storage_class_name: Option<String>,
    /// CPU and memory. A field that is left out keeps the shop's, else the platform's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Placement, priority, labels and annotations of the pods; over those of `spec.pods`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pods: Option<Box<PodSettings>>,
}

fn one_server() -> i32 {
    1
}

fn two_gibibytes() -> String {
    "2Gi".into()
}

impl Default for Nats {
    fn default() -> Self {
        Self {
            replicas: one_server(),
            storage: two_gibibytes(),
            storage_class_name: None,
            resources: None,
            pods: None,
        }
    }
}

/// The cache: exactly one of the fields. Its content may be lost, so a shop can change from one to the
/// other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.redis) != has(self.external)")
    .message("spec.cache: give exactly one of redis or external"))]
pub struct Cache {
    /// A Redis that the operator runs for this shop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redis: Option<Redis>,
    /// An existing Redis (ElastiCache, MemoryStore, your own).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalRedis>,
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            redis: Some(Redis::default()),
            external: None,
        }
    }
}

/// One Redis of 64 MiB without a volume.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Redis {
    /// CPU and memory. A field that is left out keeps the shop's, else the platform's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Placement, priority, labels and annotations of the pods; over those of `spec.pods`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pods: Option<Box<PodSettings>>,
}

/// A Redis that the user runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExternalRedis {
    /// A Secret in the same namespace with `uri` (`redis://` or, over TLS, `rediss://`), and `ca.crt` where the server's
    /// certificate is not from a public authority. One server or an address that behaves like one, not a Redis Cluster.
    pub secret_ref: LocalRef,
}

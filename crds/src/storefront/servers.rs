//! The backing servers of a shop: database, event bus, cache.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::LocalRef;

/// The database server: exactly one of the fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
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
}

impl Default for Database {
    fn default() -> Self {
        Self {
            embedded: Some(EmbeddedPostgres::default()),
            external: None,
        }
    }
}

/// One PostgreSQL instance with a volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.storageClassName) == has(oldSelf.storageClassName) && (!has(self.storageClassName) || self.storageClassName == oldSelf.storageClassName)")
    .message("spec.database.embedded.storageClassName is immutable: the class of a volume cannot change"))]
pub struct EmbeddedPostgres {
    /// Size of the volume. Immutable here: to grow it, edit the PersistentVolumeClaim (its class must allow that).
    #[serde(default = "five_gibibytes")]
    #[schemars(length(max = 16), regex(pattern = "^[1-9][0-9]*(Mi|Gi|Ti)$"))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("spec.database.embedded.storage is immutable: to grow the volume, edit the PersistentVolumeClaim data-<name>-postgres-0"))]
    pub storage: String,
    /// StorageClass of the volume. Absent: the cluster's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub storage_class_name: Option<String>,
}

fn five_gibibytes() -> String {
    "5Gi".into()
}

impl Default for EmbeddedPostgres {
    fn default() -> Self {
        Self {
            storage: five_gibibytes(),
            storage_class_name: None,
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Queue {
    /// NATS JetStream, run by the operator for this shop.
    #[serde(default)]
    pub nats: Nats,
}

/// One NATS server or three, each with a volume; every acknowledged message has been synced to disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
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
    /// Size of each server's volume. Immutable here: to grow it, edit the PersistentVolumeClaim.
    #[serde(default = "two_gibibytes")]
    #[schemars(length(max = 16), regex(pattern = "^[1-9][0-9]*(Mi|Gi|Ti)$"))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("spec.queue.nats.storage is immutable: to grow the volume, edit the PersistentVolumeClaim data-<name>-nats-0"))]
    pub storage: String,
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
        }
    }
}

/// The cache: exactly one of the fields. Its content may be lost, so a shop can change from one to the
/// other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Redis {}

/// A Redis that the user runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExternalRedis {
    /// A Secret in the same namespace with `uri` (`redis://` or, over TLS, `rediss://`), and `ca.crt` where the server's
    /// certificate is not from a public authority. One server or an address that behaves like one, not a Redis Cluster.
    pub secret_ref: LocalRef,
}

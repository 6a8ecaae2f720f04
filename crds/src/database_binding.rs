//! `DatabaseBinding`: a database, its roles, and a Secret for one user of it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{CustomResource, KubeSchema, core::Rule};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::{form, object_name, size_of_volume};
use crate::{Condition, DatabaseGrant, DeletionPolicy, LocalRef};

/// A database on a PostgreSQL server, a role that uses it, and a Secret
/// (`servicebinding.io/postgresql`) with the login. The Secret's name is in `status.binding.name`.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "storefront.dev",
    version = "v1alpha1",
    kind = "DatabaseBinding",
    plural = "databasebindings",
    namespaced,
    shortname = "dbb",
    category = "shop",
    status = "DatabaseBindingStatus",
    derive = "PartialEq",
    doc = "A database on a PostgreSQL server, a role to use it with, and a servicebinding.io Secret that tells how.",
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Database", type_ = "string", json_path = ".status.database"),
    printcolumn(name = "Access", type_ = "string", json_path = ".spec.access"),
    printcolumn(name = "Secret", type_ = "string", json_path = ".status.binding.name", priority = 1),
    printcolumn(name = "Rotated", type_ = "date", json_path = ".status.rotation.rotatedAt", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("size(self.metadata.name) <= 60")
        .message("metadata.name must be 60 characters or fewer: the names of its Secrets begin with it")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.reclaimPolicy != 'BackupThenDelete' || self.access == 'Owner'")
        .message("spec.reclaimPolicy: BackupThenDelete needs access Owner; a reader or writer owns no data, use Retain or Delete")
        .field_path(".reclaimPolicy"),
    validation = Rule::new("!has(self.extensions) || self.extensions.size() == 0 || self.access == 'Owner'")
        .message("spec.extensions: only a binding with access Owner may ask for extensions")
        .field_path(".extensions"),
    validation = Rule::new("!has(self.grants) || self.grants.size() == 0 || self.access == 'Owner'")
        .message("spec.grants: only a binding with access Owner has a database to grant access to")
        .field_path(".grants"),
    validation = Rule::new("self.access == 'Owner' || has(self.database)")
        .message("spec.database: name the database that a binding with access ReadOnly or ReadWrite shall open")
        .reason(Reason::FieldValueRequired),
    validation = Rule::new("has(self.database) == has(oldSelf.database) && (!has(self.database) || self.database == oldSelf.database)")
        .message("spec.database is immutable: create another DatabaseBinding and move the data")
)]
pub struct DatabaseBindingSpec {
    /// The server that holds the database.
    #[x_kube(validation = Rule::new("self == oldSelf").message("spec.serverRef is immutable: a database does not move by itself; create another DatabaseBinding"))]
    pub server_ref: ServerRef,
    /// Name of the database. Default for access `Owner`: made from namespace and name. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(validation = form("^[a-z_][a-z0-9_]*$",
        "spec.database: the name of a database consists of lower-case letters, digits and '_', and does not begin with a digit, such as shop_orders"),
        validation = Rule::new("!(self in ['postgres', 'template0', 'template1']) && !self.startsWith('pg_')")
        .message("spec.database: this name is reserved by PostgreSQL"))]
    pub database: Option<String>,
    /// What the role may do. Immutable.
    #[serde(default)]
    #[x_kube(validation = Rule::new("self == oldSelf").message("spec.access is immutable: create another DatabaseBinding with the access you need"))]
    pub access: Access,
    /// Bindings of this namespace that may open this database with access `ReadOnly` or `ReadWrite`; no
    /// other one can. Who may open the database of one of a shop's services is decided by the Storefront
    /// (`spec.services.<service>.grants`): in the shop's own bindings this list only repeats it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["binding".into()]))]
    pub grants: Vec<DatabaseGrant>,
    /// Extensions to install in the database.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub extensions: Vec<Extension>,
    /// When the credentials are rotated automatically. Absent: never. Any new value of the
    /// annotation `storefront.dev/rotate` rotates them too, with or without this. In a shop's own bindings it is that of
    /// the Storefront (`spec.database.rotation`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<Rotation>,
    /// What happens to the database when this object is deleted. A Storefront's own bindings have `Retain`, until
    /// the Storefront is deleted: then they get its `deletionPolicy`.
    #[serde(default)]
    pub reclaim_policy: DeletionPolicy,
    /// The volume of the dumps that `BackupThenDelete` takes. Absent: 5Gi of the cluster's default StorageClass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<BackupVolume>,
}

/// The volume of dumps. It is made when the first dump is taken, is kept when everything else is deleted, and is
/// never changed once it exists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackupVolume {
    /// Size of the volume.
    #[serde(default = "BackupVolume::default_storage")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = size_of_volume("backup.storage"))]
    pub storage: String,
    /// StorageClass of the volume. Absent: the cluster's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub storage_class_name: Option<String>,
}

impl BackupVolume {
    fn default_storage() -> String {
        "5Gi".into()
    }
}

impl Default for BackupVolume {
    fn default() -> Self {
        Self {
            storage: Self::default_storage(),
            storage_class_name: None,
        }
    }
}

/// Where the server is: exactly one of the fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.storefront) != has(self.adminSecret)")
    .message("spec.serverRef: give exactly one of storefront (the shop's server) or adminSecret (a server elsewhere)"))]
pub struct ServerRef {
    /// The database server of the Storefront of this name, in the same namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = object_name("spec.serverRef.storefront"))]
    pub storefront: Option<String>,
    /// A Secret in the same namespace with `host`, `port`, `username`, `password` of a role that may create roles and databases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin_secret: Option<LocalRef>,
}

/// What a login role may do in its database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Access {
    /// Owns the database: may create and change everything in it.
    #[default]
    Owner,
    /// Reads and writes the rows of existing tables.
    ReadWrite,
    /// Reads only.
    ReadOnly,
}

/// How often the credentials are replaced, and how long the old ones still work after that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!self.every.matches('^[1-9][0-9]{0,4}[smh]$') || !self.overlap.matches('^[1-9][0-9]{0,4}[smh]$') || duration(self.overlap) + duration(self.overlap) <= duration(self.every)")
    .message("rotation.overlap must be at most half of rotation.every: there are two login roles, and each has to be out of use before it is used again"))]
pub struct Rotation {
    /// Time between two replacements in seconds (`3600s`), minutes (`90m`) or hours (`720h`); at
    /// least ten minutes, for each replacement ends sessions.
    #[schemars(length(max = 6))]
    #[x_kube(
        validation = is_duration("rotation.every"),
        validation = Rule::new("!self.matches('^[1-9][0-9]{0,4}[smh]$') || duration(self) >= duration('10m')")
            .message("rotation.every must be ten minutes or longer: each replacement ends sessions")
    )]
    pub every: String,
    /// How long the replaced credentials still work, in the same format; at least ten seconds, and at most half of
    /// `every`. It must be long enough for every client to change over: for a ServiceDeployment its migration Job and its
    /// whole rollout.
    #[serde(default = "Rotation::default_overlap")]
    #[schemars(length(max = 6))]
    #[x_kube(
        validation = is_duration("rotation.overlap"),
        validation = Rule::new("!self.matches('^[1-9][0-9]{0,4}[smh]$') || duration(self) >= duration('10s')")
            .message("rotation.overlap must be ten seconds or longer")
    )]
    pub overlap: String,
}

fn is_duration(field: &str) -> Rule {
    let message = format!(
        "{field}: give seconds, minutes or hours as a whole number with a unit, such as 600s, 90m or 720h"
    );
    Rule::new("self.matches('^[1-9][0-9]{0,4}[smh]$')").message(message.as_str())
}

impl Rotation {
    /// The overlap where none is given.
    pub fn default_overlap() -> String {
        "1h".into()
    }
}

/// Extensions that are trusted by PostgreSQL, so that a database's owner may install them.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are PostgreSQL's")]
pub enum Extension {
    BtreeGin,
    BtreeGist,
    Citext,
    Fuzzystrmatch,
    Hstore,
    Intarray,
    Ltree,
    PgTrgm,
    Pgcrypto,
    Unaccent,
}

impl Extension {
    /// The name in `CREATE EXTENSION`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BtreeGin => "btree_gin",
            Self::BtreeGist => "btree_gist",
            Self::Citext => "citext",
            Self::Fuzzystrmatch => "fuzzystrmatch",
            Self::Hstore => "hstore",
            Self::Intarray => "intarray",
            Self::Ltree => "ltree",
            Self::PgTrgm => "pg_trgm",
            Self::Pgcrypto => "pgcrypto",
            Self::Unaccent => "unaccent",
        }
    }
}

/// Observed state of a DatabaseBinding.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct DatabaseBindingStatus {
    /// The newest generation that was reconciled, also when that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, SecretReady, DatabaseReady; Reconciling and Stalled only while true.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// The Secret to mount, as servicebinding.io specifies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binding: Option<BindingRef>,
    /// The database, once it is decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// The login role, recorded before it is created, so that a crash leaves no unknown role behind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The rotation of the credentials. Absent until the first one is requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<RotationStatus>,
    /// The databases that took the place of a lost one. Absent: it was never lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recreation: Option<Recreation>,
    /// The dump that was taken before the database was dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<BackupStatus>,
}

/// A shorthand for [`DatabaseBindingStatus`].
pub type BindingStatus = DatabaseBindingStatus;

/// Names the Secret of a binding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct BindingRef {
    /// Name of the Secret, in the same namespace.
    pub name: String,
}

/// Progress of the rotation of the credentials. The credentials in use are `status.role` and the
/// Secret of `status.binding`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RotationStatus {
    /// How often the credentials were replaced.
    #[serde(default)]
    pub number: i64,
    /// When those in use took over. Absent: they are the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotated_at: Option<Time>,
    /// When they will be replaced. Absent: on request only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<Time>,
    /// The value of the annotation `storefront.dev/rotate` that was last acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// The credentials that are being created, recorded before they are created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incoming: Option<Credentials>,
    /// The credentials that were replaced, as long as they still work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outgoing: Option<OutgoingCredentials>,
}

/// A login role and the Secret with its password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Credentials {
    /// The login role.
    pub role: String,
    /// The Secret, in the same namespace.
    pub secret: String,
}

/// Credentials that were replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct OutgoingCredentials {
    /// The login role.
    pub role: String,
    /// The Secret, in the same namespace.
    pub secret: String,
    /// When the role may no longer log in and the Secret is deleted.
    pub until: Time,
}

/// How often a database was found or made empty that had been migrated: an empty one took the place of a lost one,
/// because somebody asked for it with the annotation `storefront.dev/recreate-database`, or its tables were
/// dropped. ServiceDeployments that use it run their migrations again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Recreation {
    /// How often.
    #[serde(default)]
    pub number: i64,
    /// The value of the annotation that was last acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// Whether the newest one is still being created.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pending: bool,
    /// Whether it was found without any table after a migration had run, and has none yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub empty: bool,
}

/// A dump taken before a drop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackupStatus {
    /// The PersistentVolumeClaim that holds the dump.
    pub volume_claim: String,
    /// File in that volume.
    pub file: String,
    /// When the dump was complete and had been read back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Time>,
}

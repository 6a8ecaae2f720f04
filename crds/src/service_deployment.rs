//! `ServiceDeployment`: one workload on the platform, built in or a team's own.

use kube::{CustomResource, KubeSchema, core::Rule};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::{duration, form, forms, object_name};
use crate::{Condition, EnvVar, LocalRef, PodSettings, Replicas, Resources};

/// One workload of a shop: pods, a Service, routes through the shop's gateway, and what it is bound to.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "storefront.dev",
    version = "v1alpha1",
    kind = "ServiceDeployment",
    plural = "servicedeployments",
    namespaced,
    shortname = "svcd",
    category = "shop",
    status = "ServiceDeploymentStatus",
    derive = "PartialEq",
    doc = "One workload of a shop: pods, a Service, routes through the shop's gateway, and what it is bound to.",
    scale(
        spec_replicas_path = ".spec.replicas.min",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Pods", type_ = "integer", json_path = ".status.readyReplicas"),
    printcolumn(name = "Storefront", type_ = "string", json_path = ".spec.storefrontRef.name"),
    printcolumn(name = "Image", type_ = "string", json_path = ".spec.image", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("size(self.metadata.name) <= 53 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')")
        .message("metadata.name must be a DNS label of 53 characters or fewer that starts with a letter: the Service and the Job are called after it")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.events) || (has(self.uses) && self.uses.exists(part, part == 'Bus'))")
        .message("spec.events: add Bus to spec.uses, by which the service connects to the bus")
        .field_path(".events"),
    validation = Rule::new("!has(self.bindings) || self.bindings.filter(b, !has(b.name)).size() <= 1")
        .message("spec.bindings: only one binding may go without a name (it is called database); name the others")
        .field_path(".bindings"),
    validation = Rule::new("!has(self.metricsPort) || self.metricsPort != self.port")
        .message("spec.metricsPort: leave it out when metrics are served on spec.port")
        .field_path(".metricsPort")
)]
pub struct ServiceDeploymentSpec {
    /// The shop that this service belongs to, in the same namespace. Immutable.
    #[x_kube(validation = Rule::new("self == oldSelf").message("spec.storefrontRef is immutable: create another ServiceDeployment for the other shop"))]
    pub storefront_ref: LocalRef,
    /// Image of the container.
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(validation = form(r"^[^\\s]+$",
        "spec.image: give one image without spaces, such as ghcr.io/acme/reviews:1.4.2"))]
    pub image: String,
    /// When the image is pulled. Default: the operator's own setting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_pull_policy: Option<PullPolicy>,
    /// Secrets for the registry.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub image_pull_secrets: Vec<LocalRef>,
    /// Replaces the image's entry point.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 4096)))]
    pub command: Vec<String>,
    /// Arguments of the entry point.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 4096)))]
    pub args: Vec<String>,
    /// HTTP port that the container listens on. The Service always listens on 8080.
    #[serde(default = "http_port")]
    #[schemars(range(min = 1024, max = 65535))]
    pub port: i32,
    /// Port that serves Prometheus metrics at `/metrics`, and the probes unless `probes.port` is set. Absent: no metrics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1024, max = 65535))]
    pub metrics_port: Option<i32>,
    /// Paths of the shop that this service serves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["path".into()]))]
    pub routes: Vec<Route>,
    /// Secrets that are mounted as files under `/bindings/<name>/`, as servicebinding.io specifies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub bindings: Vec<ServiceBinding>,
    /// Parts of the shop's platform that this service connects to: each is bound and reachable.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub uses: Vec<Uses>,
    /// What this service publishes to the bus and receives from it. `uses: [Bus]` alone allows neither.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<Events>,
    /// Names of ServiceDeployments of the same shop that this service calls; it can reach no other one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 53)))]
    #[x_kube(merge_strategy = ListMerge::Set, validation = forms("^[a-z]([-a-z0-9]*[a-z0-9])?$",
        "spec.calls: name ServiceDeployments of the shop by their metadata.name, such as demo-product"))]
    pub calls: Vec<String>,
    /// Ports of hosts outside the shop that this service connects to. Absent: none is reachable.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(range(min = 1, max = 65535)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub egress_ports: Vec<i32>,
    /// A migration that must complete before pods of a new image start. Absent: no migration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub migrate: Option<Migrate>,
    /// How many pods.
    #[serde(default)]
    pub replicas: Replicas,
    /// CPU and memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Placement, priority, labels and annotations of the pods and of the migration's. Where they run and how
    /// important they are is limited to what the Storefront allows in `spec.teams`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pods: Option<Box<PodSettings>>,
    /// More environment; may also replace what the platform sets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub env: Vec<EnvVar>,
    /// Health checks of the kubelet. Absent: `/healthz` and `/readyz` on the metrics port where there is
    /// one, else an open port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probes: Option<Probes>,
    /// While true the operator changes nothing; the pods keep running as they are.
    #[serde(default)]
    pub paused: bool,
}

fn http_port() -> i32 {
    8080
}

/// When an image is pulled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(
    missing_docs,
    reason = "the values are those of a container's imagePullPolicy"
)]
pub enum PullPolicy {
    Always,
    IfNotPresent,
    Never,
}

impl PullPolicy {
    /// The value of a container's `imagePullPolicy`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Always => "Always",
            Self::IfNotPresent => "IfNotPresent",
            Self::Never => "Never",
        }
    }
}

/// One path of the shop, and who may call it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.auth == 'Required' || !has(self.roles) || self.roles.size() == 0")
    .message("routes.roles needs auth Required: a caller without a token has no role")
    .field_path(".roles"))]
pub struct Route {
    /// Prefix of the path, by whole segments: `/v1/reviews` covers `/v1/reviews/7`, not `/v1/reviewers`.
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(validation = form("^/[A-Za-z0-9/._~-]*$",
        "routes.path: a path begins with '/' and consists of letters, digits, '/', '.', '_', '~' and '-', such as /v1/reviews"),
        validation = Rule::new("!self.startsWith('/internal')").message("routes.path: /internal is never reachable from outside"),
        validation = Rule::new("!self.contains('//') && !self.matches('(^|/)[.][.]?(/|$)')")
            .message("routes.path: a path has no empty segment and none that is '.' or '..', such as /v1/reviews"))]
    pub path: String,
    /// Who may call it.
    #[serde(default)]
    pub auth: AuthMode,
    /// Roles of which the caller must have at least one. Empty: any caller.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 63)))]
    #[x_kube(merge_strategy = ListMerge::Set, validation = forms("^[a-z][a-z0-9_-]*$",
        "routes.roles: a role begins with a lower-case letter and consists of those, digits, '_' and '-', such as admin"))]
    pub roles: Vec<String>,
}

/// Whether a route requires a token.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum AuthMode {
    /// A valid token is required.
    #[default]
    Required,
    /// A token is optional; one that is sent must be valid.
    Optional,
    /// Tokens are not checked.
    Public,
}

/// One Secret that is mounted as files: exactly one of `databaseBinding` and `secretRef`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.databaseBinding) != has(self.secretRef)")
    .message("spec.bindings: give exactly one of databaseBinding or secretRef"))]
pub struct ServiceBinding {
    /// Name of the folder under `/bindings`. Default: `database`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 50))]
    #[x_kube(validation = form("^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
        "spec.bindings.name: the name of a folder consists of lower-case letters, digits and '-', such as payment-keys"))]
    pub name: Option<String>,
    /// A DatabaseBinding in the same namespace; its database server is made reachable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 60))]
    #[x_kube(validation = object_name("spec.bindings.databaseBinding"))]
    pub database_binding: Option<String>,
    /// A Secret in the same namespace that has the label `storefront.dev/mountable: "true"` and belongs to no shop: not
    /// one that the operator has made, and not one that a Storefront or a DatabaseBinding refers to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalRef>,
}

impl ServiceBinding {
    /// The folder under `/bindings`.
    pub fn folder(&self) -> &str {
        self.name.as_deref().unwrap_or("database")
    }
}

/// A part of the shop's platform.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum Uses {
    /// The event bus, bound as `bus`: what may be published and received is in `spec.events`. Replies are
    /// received below the binding's `inbox-prefix`.
    Bus,
    /// The cache, bound as `cache`: keys begin with the binding's `key-prefix`.
    Cache,
}

/// Events of a team's service. The shop's own services have theirs, whatever is written here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Events {
    /// Ends of the types that it may publish: `posted.v1` of the service `reviews` is the event type
    /// `team.reviews.posted.v1`, and the subject `shop.team.reviews.posted.v1`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 100)))]
    #[x_kube(merge_strategy = ListMerge::Set, validation = event_types("spec.events.publishes", "posted.v1"))]
    pub publishes: Vec<String>,
    /// Types that it may receive, of the shop (`order.placed.v1`) or of a team (`team.reviews.posted.v1`), by a
    /// subscription to the subject `shop.<type>`. What is published while it is not connected is not kept for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 100)))]
    #[x_kube(merge_strategy = ListMerge::Set, validation = event_types("spec.events.subscribes", "order.paid.v1"))]
    pub subscribes: Vec<String>,
}

/// The rule for a list of event types.
fn event_types(field: &str, example: &str) -> Rule {
    let message = format!(
        "{field}: name each event type in full, such as {example}: words of lower-case letters and digits, with '-' in a word and '.' between words"
    );
    let word = "[a-z0-9]+(-[a-z0-9]+)*";
    forms(&format!("^{word}([.]{word})*$"), &message)
}

/// A run of the image that migrates the database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Migrate {
    /// Arguments of the entry point.
    #[serde(default = "migrate_args")]
    #[schemars(length(min = 1, max = 64), inner(length(max = 4096)))]
    pub args: Vec<String>,
    /// Longest time of all tries together in seconds (`600s`), minutes (`90m`) or hours (`12h`); a migration
    /// that takes longer has failed. Default: `1h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 6))]
    #[x_kube(validation = duration("spec.migrate.deadline", 5))]
    pub deadline: Option<String>,
}

fn migrate_args() -> Vec<String> {
    vec!["migrate".into()]
}

impl Default for Migrate {
    fn default() -> Self {
        Self {
            args: migrate_args(),
            deadline: None,
        }
    }
}

/// Paths of the kubelet's health checks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Probes {
    /// Port of the probes. Default: `metricsPort`, else `port`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1024, max = 65535))]
    pub port: Option<i32>,
    /// Answers 200 while the process is alive, whatever the state of the database. Absent: an open port is enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(validation = form("^/", "spec.probes.livenessPath: a path begins with '/', such as /live"))]
    pub liveness_path: Option<String>,
    /// Answers 200 while the pod can serve requests. Absent: an open port is enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(validation = form("^/", "spec.probes.readinessPath: a path begins with '/', such as /ready"))]
    pub readiness_path: Option<String>,
}

/// Observed state of a ServiceDeployment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceDeploymentStatus {
    /// The newest generation that was reconciled, also when that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, BindingsReady, Migrated, Available, RoutesAccepted; Reconciling and Stalled only while true, AutoscalerActive
    /// only while false.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// Pods that exist.
    #[serde(default)]
    pub replicas: i32,
    /// Pods that are ready.
    #[serde(default)]
    pub ready_replicas: i32,
    /// Selector of the pods, for `kubectl scale` and autoscalers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    /// The migration that has completed: a hash of its image, arguments, files and environment. Where its pod ran is
    /// no part of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub migrated: Option<String>,
    /// Hash of what the pods were last made from: the spec, the settings of the shop, and the content of Secrets.
    /// The shop compares it with what they should be made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs: Option<String>,
    /// Dependencies that the newest pod which was asked cannot use, as its readiness endpoint names them: without
    /// `database` it does not serve, without `bus`, `cache` or `mail` it serves less.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub failing: Vec<FailingDependency>,
}

/// A server that a process cannot use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct FailingDependency {
    /// `database`, `bus`, `cache` or `mail`.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// What the process reports; `no answer yet` until it knows whether it can use the server.
    #[schemars(length(max = 1024))]
    pub message: String,
}

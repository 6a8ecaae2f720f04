//! `Storefront`: one online shop.

mod accounts;
mod gateway_service;
mod servers;
mod status;
mod teams;

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema, core::Rule};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use service_catalogue::Service;

use crate::common::{form, object_name};
use crate::{
    DatabaseGrant, DeletionPolicy, EnvVar, LocalRef, Observability, PodSettings, Replicas,
    Resources,
};

pub use accounts::*;
pub use gateway_service::*;
pub use servers::*;
pub use status::*;
pub use teams::*;

/// One online shop: its services, each with a database of its own, its event bus and cache, behind a gateway.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "storefront.dev",
    version = "v1alpha1",
    kind = "Storefront",
    plural = "storefronts",
    namespaced,
    shortname = "sf",
    category = "shop",
    status = "StorefrontStatus",
    derive = "PartialEq",
    doc = "One online shop: its services, each with a database of its own, its event bus and cache, behind a gateway.",
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Services", type_ = "string", json_path = ".status.services.summary"),
    printcolumn(name = "Version", type_ = "string", json_path = ".status.version"),
    printcolumn(name = "Update", type_ = "string", json_path = ".status.availableVersion"),
    printcolumn(name = "URL", type_ = "string", json_path = ".status.url", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("size(self.metadata.name) <= 40 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')")
        .message("metadata.name must be a DNS label of 40 characters or fewer that starts with a letter: the names of the shop's services are made from it"),
    validation = Rule::new("!has(self.spec.version) || !has(self.spec.update) || self.spec.update != 'Automatic'")
        .message("spec.update: Automatic takes the operator's release, and spec.version names one: remove one of them"),
    validation = never_shrinks("database", "database.embedded"),
    validation = never_shrinks("queue", "queue.nats")
)]
#[serde(rename_all = "camelCase")]
pub struct StorefrontSpec {
    /// Host names of every listener and route of this shop. The first one is used in links.
    #[schemars(length(min = 1, max = 8), inner(length(min = 1, max = 253)))]
    #[x_kube(
        merge_strategy = ListMerge::Set,
        validation = Rule::new("self.all(host, host.matches('^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?([.][a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*$'))")
            .message("spec.hostnames: a host name consists of labels of 1 to 63 lower-case letters, digits and '-', separated by '.', such as shop.example.com")
    )]
    pub hostnames: Vec<String>,
    /// Name of the shop on pages and in mails, in one line. Default: the object's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 100))]
    #[x_kube(validation = form(r"^[^\\x00-\\x1f\\x7f-\\x9f\\x{2028}\\x{2029}]+$",
        "spec.displayName: give one line without control characters"))]
    pub display_name: Option<String>,
    /// Platform release that the shop runs: the images of its pods, and the templates that they are made from.
    /// Default: the operator's own when the shop is created. It is kept in `status.version`, so that an upgrade of the
    /// operator restarts nothing by itself; the operator's release, named here, takes the upgrade.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    #[x_kube(validation = form("^[A-Za-z0-9_][A-Za-z0-9._-]*$",
        "spec.version: a release is the tag of its images: letters, digits, '.', '_' and '-', such as 1.4.2"))]
    pub version: Option<String>,
    /// Whether the shop takes each newer release of the operator by itself. What one would change is in the condition
    /// UpdateAvailable.
    #[serde(default)]
    pub update: Update,
    /// ISO 4217 codes of the currencies that prices may be in. The first is the default.
    #[serde(default = "default_currencies")]
    #[schemars(length(min = 1, max = 16), inner(length(max = 16)))]
    #[x_kube(
        merge_strategy = ListMerge::Set,
        validation = Rule::new("self.all(code, code.matches('^[A-Z]{3}$'))")
            .message("spec.currencies: a currency is an ISO 4217 code of three capital letters, such as EUR")
    )]
    pub currencies: Vec<String>,
    /// The gateway in front of the shop.
    #[serde(default)]
    pub gateway: GatewaySpec,
    /// The first administrator, whose login is in the Secret `<name>-admin`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin: Option<Admin>,
    /// The PostgreSQL server of the services' databases. Embedded or external is immutable.
    #[serde(default)]
    #[x_kube(validation = Rule::new("has(self.embedded) == has(oldSelf.embedded)")
        .message("spec.database: data is not moved between an embedded and an external server; create another Storefront and restore into it"))]
    pub database: Database,
    /// The event bus.
    #[serde(default)]
    pub queue: Queue,
    /// The cache.
    #[serde(default)]
    pub cache: Cache,
    /// Accepted payment methods. The payment service refuses every method that is not named here.
    #[serde(default = "default_payments")]
    #[schemars(length(min = 1, max = 4))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub payments: Vec<PaymentMethod>,
    /// Limits of logins and registrations.
    #[serde(default)]
    pub accounts: Accounts,
    /// Channels by which customers are notified.
    pub notifications: Notifications,
    /// Overrides for single services, by name; all services run without being named here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = Service::ALL.len()))]
    #[x_kube(validation = known_services(), validation = grants_need_a_database())]
    pub services: BTreeMap<String, ServiceOverride>,
    /// CPU and memory of every container of the shop for which its part says nothing. A field that is left out keeps
    /// the platform's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Placement, priority, labels and annotations of every pod of the shop: services, servers, Jobs and the gateway.
    /// Each part has `pods` of its own, which wins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pods: Option<Box<PodSettings>>,
    /// Secrets for the registry of the platform's images, in the same namespace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub image_pull_secrets: Vec<LocalRef>,
    /// What the ServiceDeployments of teams may ask of the cluster. Absent: nothing that could take room from others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub teams: Option<Box<Teams>>,
    /// Telemetry beyond metrics and logs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observability: Option<Observability>,
    /// What happens to databases, volumes, keys and passwords when the Storefront is deleted. Until then they are
    /// kept, whichever of the Storefront's children is deleted.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
    /// While true the operator changes nothing; the shop keeps running as it is.
    #[serde(default)]
    pub paused: bool,
}

/// How a shop takes a newer release of the operator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Update {
    /// Once `spec.version` names it.
    #[default]
    OnRequest,
    /// As soon as the operator is of it. The operator's release must not be named in `spec.version` then.
    Automatic,
}

/// The first administrator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Admin {
    /// Its e-mail address. Default, where `admin` is absent: `admin@` and the host of `status.issuer`.
    #[schemars(length(min = 3, max = 254))]
    #[x_kube(validation = form(r"^[^@\\s]+@[^@\\s]+$",
        "spec.admin.email: give one mail address, such as owner@shop.example.com"))]
    pub email: String,
}

/// The rule for the keys of `spec.services`: a map's keys have no schema of their own.
fn known_services() -> Rule {
    let names = Service::ALL.map(Service::name);
    let quoted = names.map(|name| format!("'{name}'")).join(", ");
    let message = format!(
        "spec.services: unknown service; known are {}",
        names.join(", ")
    );
    Rule::new(format!("self.all(name, name in [{quoted}])")).message(message.as_str())
}

/// A service without a database has none to open.
fn grants_need_a_database() -> Rule {
    let without = Service::ALL.into_iter().filter(|it| !it.has_database());
    let names: Vec<&str> = without.map(Service::name).collect();
    let quoted: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
    let message = format!(
        "spec.services: {} has no database to grant access to",
        names.join(", ")
    );
    Rule::new(format!(
        "self.all(name, !(name in [{}]) || !has(self[name].grants) || self[name].grants.size() == 0)",
        quoted.join(", ")
    ))
    .message(message.as_str())
}

/// The rule that a volume never becomes smaller than it is. What was asked for and not granted (by a StorageClass
/// that lets no volume grow) may be taken back.
fn never_shrinks(volume: &str, server: &str) -> Rule {
    let size = format!("spec.{server}.storage");
    let (parent, known) = (
        format!("spec.{server}"),
        format!("self.status.volumes.{volume}"),
    );
    // A write of the status must never fail for the spec.
    let rule = format!(
        "!has(self.{parent}) || !has(oldSelf.{parent}) || self.{size} == oldSelf.{size} || !isQuantity(self.{size}) || (has(self.status) && has(self.status.volumes) && has({known}) ? !quantity(self.{size}).isLessThan(quantity({known})) : !quantity(self.{size}).isLessThan(quantity(oldSelf.{size})))"
    );
    let message = format!("{size}: a volume cannot shrink; give at least the size that it has");
    Rule::new(rule).message(message.as_str())
}

impl StorefrontSpec {
    /// What the spec overrides for one service.
    pub fn overrides(&self, service: Service) -> Option<&ServiceOverride> {
        self.services.get(service.name())
    }
}

fn default_currencies() -> Vec<String> {
    vec!["EUR".into()]
}

fn default_payments() -> Vec<PaymentMethod> {
    vec![PaymentMethod {
        name: PaymentMethodName::Manual,
    }]
}

/// The gateway in front of a shop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.className == 'storefront' || !has(self.rateLimits) || self.rateLimits.size() == 0")
        .message("spec.gateway.rateLimits need the class storefront, which implements RateLimitPolicy: use className storefront, or remove rateLimits")
        .field_path(".rateLimits"),
    validation = Rule::new("self.className == 'storefront' || !(has(self.replicas) || has(self.resources) || has(self.pods) || has(self.service))")
        .message("spec.gateway: replicas, resources, pods and service are those of the class storefront; another class runs its own data plane")
)]
pub struct GatewaySpec {
    /// GatewayClass of the shop's Gateway; `storefront` is the built-in data plane.
    #[serde(default = "default_class")]
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = object_name("spec.gateway.className"))]
    pub class_name: String,
    /// HTTPS on port 443 in addition to HTTP on port 80. Absent: plain HTTP only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<GatewayTls>,
    /// Rate limits. They need the class `storefront`, which implements RateLimitPolicy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub rate_limits: Vec<ShopRateLimit>,
    /// Requests over HTTP for a host that `spec.hostnames` does not list, such as an IP address:
    /// `Refuse` answers 404, `Accept` serves the shop. The Host header is never rewritten.
    #[serde(default)]
    pub other_hosts: OtherHosts,
    /// Proxies in front of the gateway, such as a load balancer that speaks HTTP. Each of them is trusted to add
    /// the address that it saw to the end of `X-Forwarded-For`, and the last one to set `X-Forwarded-Proto`: rate
    /// limits, logs and services take the client's address from there. With 0 it is the address of the
    /// connection, and what clients send in these headers is ignored. Read by the class `storefront` only.
    #[serde(default)]
    #[schemars(range(min = 0, max = 16))]
    pub trusted_hops: i32,
    /// Pods of the data plane. Default: one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<Replicas>,
    /// CPU and memory. A field that is left out keeps the shop's, else the platform's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Placement, priority, labels and annotations of the data plane's pods; over those of `spec.pods`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pods: Option<Box<PodSettings>>,
    /// How the data plane is reached from outside. Default: inside the cluster only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<GatewayService>,
}

/// What happens to a request for a host that the shop does not list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OtherHosts {
    /// It is answered with 404.
    #[default]
    Refuse,
    /// The shop is served.
    Accept,
}

fn default_class() -> String {
    "storefront".into()
}

impl Default for GatewaySpec {
    fn default() -> Self {
        Self {
            class_name: default_class(),
            tls: None,
            rate_limits: Vec::new(),
            other_hosts: OtherHosts::default(),
            trusted_hops: 0,
            replicas: None,
            resources: None,
            pods: None,
            service: None,
        }
    }
}

/// Where the certificate comes from (exactly one of `secretRef`, `issuerRef` and `selfSigned`), and what HTTPS
/// means for HTTP. A certificate that cannot be used never replaces one that can: the last good one is served, and
/// GatewayProgrammed says why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(has(self.secretRef) ? 1 : 0) + (has(self.issuerRef) ? 1 : 0) + (has(self.selfSigned) ? 1 : 0) == 1")
    .message("spec.gateway.tls: give exactly one of secretRef, issuerRef or selfSigned"))]
pub struct GatewayTls {
    /// A Secret of type `kubernetes.io/tls` in the same namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalRef>,
    /// A cert-manager issuer; cert-manager must run with Gateway API support enabled. It creates and renews
    /// the Secret `<name>-tls`; until then the shop answers over HTTP only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer_ref: Option<IssuerRef>,
    /// A self-signed certificate in the Secret `<name>-tls`, valid for a year and renewed by the operator.
    /// Clients verify it with that Secret's `ca.crt`, which changes with each renewal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub self_signed: Option<SelfSigned>,
    /// Whether requests over HTTP are redirected to HTTPS. Only hosts for which a certificate is served are, and
    /// never `/.well-known/acme-challenge/`. Done by the class `storefront` only.
    #[serde(default = "yes")]
    pub redirect: bool,
    /// Tells browsers to use nothing but HTTPS for the shop's hosts. Done by the class `storefront` only. Absent:
    /// browsers are told nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hsts: Option<Hsts>,
}

fn yes() -> bool {
    true
}

impl Default for GatewayTls {
    fn default() -> Self {
        Self {
            secret_ref: None,
            issuer_ref: None,
            self_signed: None,
            redirect: true,
            hsts: None,
        }
    }
}

/// HTTP Strict Transport Security (RFC 6797). Browsers cannot be told to forget it before its time is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Hsts {
    /// Seconds for which a browser remembers it; at most two years.
    #[schemars(range(min = 1, max = 63_072_000))]
    pub max_age_secs: i64,
    /// Whether it holds for the hosts below the shop's hosts too.
    #[serde(default)]
    pub include_subdomains: bool,
}

/// A cert-manager issuer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.group) || self.kind == 'Issuer' || self.kind == 'ClusterIssuer'")
    .message("spec.gateway.tls.issuerRef.kind: Issuer or ClusterIssuer; any other kind needs its group"))]
pub struct IssuerRef {
    /// Name of the issuer.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = object_name("spec.gateway.tls.issuerRef.name"))]
    pub name: String,
    /// `Issuer` (in the same namespace), `ClusterIssuer`, or a kind of `group`.
    #[serde(default = "issuer_kind")]
    #[schemars(length(max = 63))]
    #[x_kube(validation = form("^[A-Z][A-Za-z0-9]*$",
        "spec.gateway.tls.issuerRef.kind: a kind begins with a capital letter, such as ClusterIssuer"))]
    pub kind: String,
    /// API group of an issuer that is not cert-manager's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub group: Option<String>,
}

fn issuer_kind() -> String {
    "Issuer".into()
}

/// A self-signed certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SelfSigned {}

/// A rate limit of the shop's gateway, as in a RateLimitPolicy.
pub type ShopRateLimit = crate::RateLimit;

/// A payment method.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PaymentMethod {
    /// Name of the payment provider.
    pub name: PaymentMethodName,
}

/// Supported payment providers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum PaymentMethodName {
    /// Bank transfer, invoice, cash: money that moves outside the shop.
    Manual,
}

impl PaymentMethodName {
    /// The name as it is written in the spec and in a request to the payment service.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Manual => "manual",
        }
    }
}

/// Channels by which customers are notified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Notifications {
    /// Notification by mail.
    pub email: EmailNotifications,
}

/// Notification by mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct EmailNotifications {
    /// The server that relays the shop's mail.
    pub smtp: Smtp,
}

/// A mail server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Smtp {
    /// Host name or IP address.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = form(r"^[A-Za-z0-9._:\\[\\]-]+$",
        "spec.notifications.email.smtp.host: give a host name or an IP address alone, such as smtp.example.com"))]
    pub host: String,
    /// Port.
    #[serde(default = "submission_port")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
    /// Sender of every mail.
    #[schemars(length(min = 3, max = 254))]
    #[x_kube(validation = form(r"^[^@\\s\\x00-\\x1f\\x7f<>]+@[^@\\s\\x00-\\x1f\\x7f<>]+$",
        "spec.notifications.email.smtp.from: give one mail address without a name, such as shop@example.com"))]
    pub from: String,
    /// A Secret in the same namespace with `username` and `password`. Absent: no login.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalRef>,
}

fn submission_port() -> i32 {
    587
}

/// Overrides for one service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceOverride {
    /// Number of pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<Replicas>,
    /// CPU and memory, of its migration too. A field that is left out keeps the shop's, else the platform's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Placement, priority, labels and annotations of its pods and of its migration's; over those of `spec.pods`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pods: Option<Box<PodSettings>>,
    /// Additional environment variables; they may also replace those that the platform sets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub env: Vec<EnvVar>,
    /// DatabaseBindings of the namespace that may open the service's database with access `ReadOnly` or
    /// `ReadWrite`. No other one can.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["binding".into()]))]
    pub grants: Vec<DatabaseGrant>,
}

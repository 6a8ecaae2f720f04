//! Shapes that several resources share.

use kube::{KubeSchema, core::Rule};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Names an object in the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct LocalRef {
    /// Name of the object, in the namespace of the object that refers to it.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = object_name("name"))]
    pub name: String,
}

impl LocalRef {
    /// A reference to `name`.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into() }
    }
}

/// What happens to data when the object that asked for it is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// Data is kept and can be adopted by an object of the same name.
    #[default]
    Retain,
    /// Data is removed for good.
    Delete,
    /// Data is dumped to a PersistentVolumeClaim, and removed only after the dump has been read back.
    BackupThenDelete,
}

/// Lets one other DatabaseBinding of the namespace open a database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct DatabaseGrant {
    /// Name of the DatabaseBinding that may open it.
    #[schemars(length(min = 1, max = 60))]
    #[x_kube(validation = object_name("grants.binding"))]
    pub binding: String,
    /// The most that it may ask for.
    #[serde(default)]
    pub access: SharedAccess,
}

/// What a binding may do in a database that another one owns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SharedAccess {
    /// Reads only.
    #[default]
    ReadOnly,
    /// Reads and writes the rows of existing tables.
    ReadWrite,
}

/// How many pods run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.max) || self.max >= self.min")
        .message("replicas.max must not be below replicas.min: raise max, or leave it out to run exactly min pods")
        .field_path(".max"),
    validation = Rule::new("!has(self.cpuPercent) || has(self.max)")
        .message("replicas.cpuPercent needs replicas.max: without a maximum nothing is scaled")
        .field_path(".cpuPercent")
)]
pub struct Replicas {
    /// Pods that always run.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1000))]
    pub min: i32,
    /// Maximum number of pods for the autoscaler. Absent: exactly `min` pods run without an autoscaler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub max: Option<i32>,
    /// Target CPU utilisation of the autoscaler, in percent of the request. Default: 70.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 10, max = 100))]
    pub cpu_percent: Option<i32>,
}

fn one() -> i32 {
    1
}

impl Default for Replicas {
    fn default() -> Self {
        Self {
            min: 1,
            max: None,
            cpu_percent: None,
        }
    }
}

/// CPU and memory, as Kubernetes quantities.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceList {
    /// CPU, for example `250m` or `"2"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = Rule::new("self.matches('^[0-9]+([.][0-9]+)?m?$')")
        .message("resources: cpu must be a number of CPUs such as 2 or 0.5, or of thousandths such as 250m"))]
    pub cpu: Option<String>,
    /// Memory, for example `128Mi`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = Rule::new("self.matches('^[0-9]+([.][0-9]+)?(Ki|Mi|Gi|Ti|k|M|G|T)?$')")
        .message("resources: memory must be a number of bytes with a unit, such as 512Mi or 2Gi"))]
    pub memory: Option<String>,
}

/// Resource requests and limits of a container. Between a request and a limit of which only one is given here, the
/// given one holds, and the other one, from the shop or the platform, is moved to it where it contradicts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = not_above("cpu"),
    validation = not_above("memory")
)]
pub struct Resources {
    /// Resources that the scheduler reserves. A field that is left out keeps the platform's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<ResourceList>,
    /// Maximum resources. A field that is left out keeps the platform's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<ResourceList>,
}

fn not_above(what: &str) -> Rule {
    let (request, limit) = (
        format!("self.requests.{what}"),
        format!("self.limits.{what}"),
    );
    // A text that is no quantity has its own message.
    let rule = format!(
        "!has(self.requests) || !has(self.limits) || !has({request}) || !has({limit}) || !isQuantity({request}) || !isQuantity({limit}) || !quantity({request}).isGreaterThan(quantity({limit}))"
    );
    let message = format!(
        "resources.requests.{what} must not be above resources.limits.{what}: lower the request, or raise the limit"
    );
    Rule::new(rule)
        .message(message.as_str())
        .field_path(".requests")
}

/// The rule for a text of a certain form. A `pattern` would answer with a regular expression.
pub(crate) fn form(pattern: &str, message: &str) -> Rule {
    Rule::new(format!("self.matches('{pattern}')")).message(message)
}

/// The same for each text of a list.
pub(crate) fn forms(pattern: &str, message: &str) -> Rule {
    Rule::new(format!("self.all(text, text.matches('{pattern}'))")).message(message)
}

/// The rule for the name of an object.
pub(crate) fn object_name(field: &str) -> Rule {
    let message = format!(
        "{field}: the name of an object consists of lower-case letters, digits, '-' and '.', and begins and ends with a letter or digit, such as shop-mail"
    );
    form(
        "^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
        &message,
    )
}

/// The rule for a duration with one unit, of at most so many digits.
pub(crate) fn duration(field: &str, digits: u8) -> Rule {
    let message = format!(
        "{field}: give seconds, minutes or hours as a whole number with a unit, such as 90s, 15m or 1h"
    );
    let more = digits.saturating_sub(1);
    form(&format!("^[1-9][0-9]{{0,{more}}}[smh]$"), &message)
}

/// The rule for a size of volumes: `quantity` of another text is an error, and a pattern no message.
pub(crate) fn size_of_volume(field: &str) -> Rule {
    let message = format!("{field}: give a whole number of Mi, Gi or Ti, such as 20Gi");
    Rule::new("self.matches('^[1-9][0-9]*(Mi|Gi|Ti)$')").message(message.as_str())
}

/// One environment variable. Not for secrets: bind them (`bindings`), so that they are mounted as files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct EnvVar {
    /// Name of the variable.
    #[schemars(length(min = 1, max = 128))]
    #[x_kube(validation = form("^[A-Za-z_][A-Za-z0-9_]*$",
        "env.name: a variable's name consists of letters, digits and '_', and does not begin with a digit, such as LOG_LEVEL"))]
    pub name: String,
    /// Its value, as it is: `$(NAME)` is not replaced.
    #[serde(default)]
    #[schemars(length(max = 4096))]
    pub value: String,
}

/// Seconds of a duration with one unit, such as `90s`, `5m` or `720h`; `None` when the text is not a
/// duration (the schemas refuse those).
pub fn duration_secs(text: &str) -> Option<u64> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let count: u64 = digits.parse().ok()?;
    let secs = match unit {
        "s" => count,
        "m" => count.checked_mul(60)?,
        "h" => count.checked_mul(3_600)?,
        _ => return None,
    };
    (secs > 0).then_some(secs)
}

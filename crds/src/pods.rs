//! What a user decides about the pods of a shop or of a part of it: where they run, how important they are, and
//! what others find them by.
//!
//! ## Why affinity and tolerations are Kubernetes' own types
//! They are passed on as they are, so a type of our own would only be converted into these. The schema is ours,
//! because theirs has no limits.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Affinity, Toleration};
use kube::{KubeSchema, core::Rule};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Label keys that select pods, or that controllers of Kubernetes write.
const TAKEN_LABELS: [&str; 9] = [
    "app.kubernetes.io/name",
    "app.kubernetes.io/instance",
    "app.kubernetes.io/managed-by",
    "app.kubernetes.io/part-of",
    "gateway.networking.k8s.io/gateway-name",
    "pod-template-hash",
    "controller-revision-hash",
    "controller-uid",
    "job-name",
];
/// Beginnings of such keys.
const TAKEN_PREFIXES: [&str; 4] = [
    "storefront.dev/",
    "batch.kubernetes.io/",
    "statefulset.kubernetes.io/",
    "apps.kubernetes.io/",
];
/// A label or annotation key.
const KEY: &str =
    r"^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$";
/// A label value.
const VALUE: &str = "^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$";
/// Longest label key: a DNS name, a slash, a name.
const LONGEST_KEY: u32 = 317;
/// Longest value of an annotation.
const LONGEST_ANNOTATION: u32 = 4_096;

/// Settings of pods. A shop has them once for every pod (`spec.pods`) and for each part (`pods` beside the part's
/// other fields). The part wins: maps are merged by key, of everything else a part that gives any replaces
/// what the shop gives.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodSettings {
    /// Labels that a node must have to run the pods.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "labels")]
    #[x_kube(validation = keys("pods.nodeSelector"), validation = values("pods.nodeSelector"))]
    pub node_selector: BTreeMap<String, String>,
    /// Taints of nodes that the pods tolerate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "tolerations")]
    pub tolerations: Vec<Toleration>,
    /// Nodes and pods that the pods are placed with or apart from, as in a pod's `affinity`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "affinity")]
    pub affinity: Option<Affinity>,
    /// PriorityClass of the pods. It must exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub priority_class_name: Option<String>,
    /// How the pods of one workload are spread. Absent: over zones and nodes as a preference, where a workload may
    /// have several pods.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["topologyKey".into(), "whenUnsatisfiable".into()]))]
    pub topology_spread_constraints: Vec<TopologySpread>,
    /// Labels of the pods, beside those of the operator, which cannot be set: policies and Services select pods
    /// by them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "labels")]
    #[x_kube(validation = keys("pods.labels"), validation = values("pods.labels"), validation = free_labels())]
    pub labels: BTreeMap<String, String>,
    /// Annotations of the pods, beside those of the operator (`storefront.dev/...`), which cannot be set.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "annotations")]
    #[x_kube(validation = keys("pods.annotations"), validation = free_annotations("pods.annotations"))]
    pub annotations: BTreeMap<String, String>,
}

/// How the pods of one workload are spread over the values of a node label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct TopologySpread {
    /// Label of nodes, such as `topology.kubernetes.io/zone`.
    #[schemars(length(min = 1, max = 317))]
    pub topology_key: String,
    /// Largest difference between two values of the label in the number of pods.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1000))]
    pub max_skew: i32,
    /// What becomes of a pod that would exceed it.
    #[serde(default)]
    pub when_unsatisfiable: WhenUnsatisfiable,
}

fn one() -> i32 {
    1
}

/// What becomes of a pod that cannot be placed within its constraint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum WhenUnsatisfiable {
    /// It runs on the node that exceeds it least.
    #[default]
    ScheduleAnyway,
    /// It waits.
    DoNotSchedule,
}

impl WhenUnsatisfiable {
    /// The value of a constraint's `whenUnsatisfiable`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ScheduleAnyway => "ScheduleAnyway",
            Self::DoNotSchedule => "DoNotSchedule",
        }
    }
}

/// The rule for the keys of a map, which have no schema of their own.
pub(crate) fn keys(field: &str) -> Rule {
    let message = format!(
        "{field}: a key must be a name of at most 63 letters, digits, '-', '_' and '.', or a DNS name, a slash and such a name"
    );
    Rule::new(format!("self.all(key, key.matches('{KEY}'))")).message(message.as_str())
}

/// The rule for the values of a map of labels.
fn values(field: &str) -> Rule {
    let message = value_message(field);
    Rule::new(format!("self.all(key, self[key].matches('{VALUE}'))")).message(message.as_str())
}

/// The rule for a map of labels, each with several values.
pub(crate) fn value_lists(field: &str) -> Rule {
    let message = value_message(field);
    let rule = format!("self.all(key, self[key].all(value, value.matches('{VALUE}')))");
    Rule::new(rule).message(message.as_str())
}

fn value_message(field: &str) -> String {
    format!(
        "{field}: a value consists of at most 63 letters, digits, '-', '_' and '.', and begins and ends with a letter or digit"
    )
}

fn free_labels() -> Rule {
    let list = TAKEN_LABELS.map(|key| format!("'{key}'")).join(", ");
    let prefixes = TAKEN_PREFIXES.map(|prefix| format!("!key.startsWith('{prefix}')"));
    let rule = format!(
        "self.all(key, !(key in [{list}]) && {})",
        prefixes.join(" && ")
    );
    Rule::new(rule).message("pods.labels: app.kubernetes.io/name, instance, managed-by and part-of, labels below storefront.dev/ and those of Kubernetes' controllers cannot be set, because Services and policies select pods by them; use a key of your own")
}

/// The rule that the operator's own annotations are not set.
pub(crate) fn free_annotations(field: &str) -> Rule {
    let message = format!(
        "{field}: annotations below storefront.dev/ are the operator's; use a key of your own"
    );
    Rule::new("self.all(key, !key.startsWith('storefront.dev/'))").message(message.as_str())
}

fn labels(_: &mut SchemaGenerator) -> Schema {
    schema(map(&text(63)))
}

/// The schema of annotations.
pub(crate) fn annotations(_: &mut SchemaGenerator) -> Schema {
    schema(map(
        &json!({ "type": "string", "maxLength": LONGEST_ANNOTATION }),
    ))
}

/// The schema of tolerations.
pub(crate) fn tolerations(_: &mut SchemaGenerator) -> Schema {
    let toleration = json!({
        "type": "object",
        "properties": {
            "key": text(LONGEST_KEY),
            "operator": { "type": "string", "enum": ["Exists", "Equal"] },
            "value": text(63),
            "effect": { "type": "string", "enum": ["NoSchedule", "PreferNoSchedule", "NoExecute"] },
            "tolerationSeconds": { "type": "integer", "format": "int64" },
        },
        "x-kubernetes-validations": [
            {
                "rule": "!has(self.value) || self.value == '' || !has(self.operator) || self.operator == 'Equal'",
                "message": "tolerations: a toleration with operator Exists has no value; remove value, or use operator Equal",
            },
            {
                "rule": "(has(self.key) && self.key != '') || (has(self.operator) && self.operator == 'Exists')",
                "message": "tolerations: a toleration without key needs operator Exists (it tolerates every taint)",
            },
            {
                "rule": "!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
                "message": "tolerations: tolerationSeconds needs effect NoExecute",
            },
        ],
    });
    schema(list(16, &toleration))
}

/// The schema of labels, each with the values that it may have.
pub(crate) fn node_labels() -> Schema {
    schema(map(&list(16, &text(63))))
}

fn affinity(_: &mut SchemaGenerator) -> Schema {
    let node = object(
        &[
            (
                "requiredDuringSchedulingIgnoredDuringExecution",
                object(
                    &[("nodeSelectorTerms", list(8, &node_term()))],
                    &["nodeSelectorTerms"],
                ),
            ),
            (
                "preferredDuringSchedulingIgnoredDuringExecution",
                list(8, &weighted("preference", node_term())),
            ),
        ],
        &[],
    );
    let pod = object(
        &[
            (
                "requiredDuringSchedulingIgnoredDuringExecution",
                list(8, &pod_term()),
            ),
            (
                "preferredDuringSchedulingIgnoredDuringExecution",
                list(8, &weighted("podAffinityTerm", pod_term())),
            ),
        ],
        &[],
    );
    schema(object(
        &[
            ("nodeAffinity", node),
            ("podAffinity", pod.clone()),
            ("podAntiAffinity", pod),
        ],
        &[],
    ))
}

fn node_term() -> Value {
    let operators = ["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"];
    let fields = ["In", "NotIn"];
    object(
        &[
            ("matchExpressions", list(16, &requirement(&operators))),
            ("matchFields", list(4, &requirement(&fields))),
        ],
        &[],
    )
}

fn pod_term() -> Value {
    let selector = || {
        let operators = ["In", "NotIn", "Exists", "DoesNotExist"];
        object(
            &[
                ("matchLabels", map(&text(63))),
                ("matchExpressions", list(16, &requirement(&operators))),
            ],
            &[],
        )
    };
    object(
        &[
            ("labelSelector", selector()),
            ("namespaceSelector", selector()),
            ("namespaces", list(16, &text(63))),
            ("topologyKey", text(LONGEST_KEY)),
        ],
        &["topologyKey"],
    )
}

fn weighted(field: &str, term: Value) -> Value {
    let weight = json!({ "type": "integer", "format": "int32", "minimum": 1, "maximum": 100 });
    object(&[("weight", weight), (field, term)], &["weight", field])
}

fn requirement(operators: &[&str]) -> Value {
    object(
        &[
            ("key", text(LONGEST_KEY)),
            ("operator", json!({ "type": "string", "enum": operators })),
            ("values", list(32, &text(63))),
        ],
        &["key", "operator"],
    )
}

fn object(properties: &[(&str, Value)], required: &[&str]) -> Value {
    let properties = properties.iter();
    let properties = properties.map(|(name, schema)| ((*name).to_owned(), schema.clone()));
    let properties: serde_json::Map<String, Value> = properties.collect();
    let mut object = json!({ "type": "object", "properties": properties });
    if !required.is_empty() {
        object["required"] = json!(required);
    }
    object
}

fn list(longest: u32, items: &Value) -> Value {
    json!({ "type": "array", "maxItems": longest, "items": items })
}

fn map(values: &Value) -> Value {
    json!({ "type": "object", "maxProperties": 32, "additionalProperties": values })
}

fn text(longest: u32) -> Value {
    json!({ "type": "string", "maxLength": longest })
}

fn schema(value: Value) -> Schema {
    Schema::try_from(value).unwrap_or_else(|_| json_schema!({ "type": "object" }))
}

//! What a live object has that nobody planned, and the patch that takes it away.
//!
//! ## Why a merge patch
//! A server-side apply removes only what its manager applied before. A selector with one more key, a
//! second container or `hostNetwork: true` belongs to whoever wrote it, so an apply leaves it where it is,
//! and the Service selects nothing. A merge patch removes it whoever owns it. A list that has an entry too many, or
//! one under another key, is given whole: two Service ports of one name, of which an apply would keep
//! both, become the planned one.
//!
//! ## What does not count
//! Labels and annotations are everybody's, and so is the `infrastructure` of a Gateway, which has those of its pods. What the API
//! server fills in is no excess ([`is_filled_in`], [`gateway_default_of`]). Of custom resources of other APIs the defaults are not
//! known here, so only lists are compared whole there.

use serde_json::{Map, Value, json};

/// Parts of an object that decide what it does.
const PARTS: &[&str] = &["spec", "data", "rules", "subjects"];
/// Groups of the kinds whose fields are all planned.
const BUILT_IN: &[&str] = &[
    "v1",
    "apps/v1",
    "batch/v1",
    "autoscaling/v2",
    "policy/v1",
    "networking.k8s.io/v1",
    "rbac.authorization.k8s.io/v1",
];
/// Our own kinds: what their definitions fill in is planned, for it is written where the default is known.
const OURS: &str = "storefront.dev/v1alpha1";
/// The Gateway API.
const GATEWAY_API: &str = "gateway.networking.k8s.io/";
/// Fields below which nothing is compared: metadata of templates is everybody's, and the claims of a
/// StatefulSet cannot be changed.
const LEFT_ALONE: &[&str] = &[
    "metadata",
    "volumeClaimTemplates",
    "ownerReferences",
    "infrastructure",
];

/// The merge patch that removes what was not planned; `None` when there is nothing to remove.
pub fn excess(live: &Value, planned: &Value) -> Option<Value> {
    let version = planned["apiVersion"].as_str().unwrap_or_default();
    let scope = match version {
        OURS => Scope::Ours,
        version if BUILT_IN.contains(&version) => Scope::BuiltIn,
        version if version.starts_with(GATEWAY_API) => Scope::GatewayApi,
        _ => Scope::Others,
    };
    let mut patch = Map::new();
    for part in PARTS {
        if let (Some(found), Some(wanted)) = (live.get(part), planned.get(part))
            && let Some(change) = scope.beyond(found, wanted, part)
        {
            patch.insert((*part).to_owned(), change);
        }
    }
    (!patch.is_empty()).then_some(Value::Object(patch))
}

/// How an object is compared.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    BuiltIn,
    Ours,
    GatewayApi,
    Others,
}

impl Scope {
    /// Whether a field that nobody planned may be the API server's, or somebody else's.
    fn fills_in(self, name: &str, found: &Value) -> bool {
        match self {
            Self::BuiltIn => is_filled_in(name, found),
            // The number of pods is not planned where an autoscaler writes it.
            Self::Ours => is_nothing(found) || name == "replicas",
            Self::GatewayApi => is_nothing(found) || gateway_default_of(name).contains(found),
            Self::Others => true,
        }
    }

    /// The patch of one place.
    fn beyond(self, live: &Value, planned: &Value, field: &str) -> Option<Value> {
        match (live, planned) {
            (Value::Object(live), Value::Object(planned)) => self.beyond_map(live, planned),
            (Value::Array(live), Value::Array(planned)) => self
                .has_more(live, planned, field)
                .then(|| Value::Array(planned.clone())),
            // A value that differs is put right by the apply.
            _ => None,
        }
    }

    fn beyond_map(self, live: &Map<String, Value>, planned: &Map<String, Value>) -> Option<Value> {
        let mut patch = Map::new();
        for (name, found) in live {
            if LEFT_ALONE.contains(&name.as_str()) {
                continue;
            }
            let change = match planned.get(name) {
                Some(wanted) if !wanted.is_null() => self.beyond(found, wanted, name),
                _ => (!self.fills_in(name, found)).then_some(Value::Null),
            };
            if let Some(change) = change {
                patch.insert(name.clone(), change);
            }
        }
        (!patch.is_empty()).then_some(Value::Object(patch))
    }

    /// Whether a list has an entry, or a field in an entry, that was not planned.
    fn has_more(self, live: &[Value], planned: &[Value], field: &str) -> bool {
        if live.len() > planned.len() {
            return true;
        }
        let keys = keys_of(field);
        live.iter().enumerate().any(|(place, found)| {
            let partner = if keys.is_empty() {
                planned.get(place)
            } else {
                let is_same = |wanted: &&Value| is_same_entry(found, wanted, keys);
                planned.iter().find(is_same)
            };
            match partner {
                Some(wanted) => self.beyond(found, wanted, field).is_some(),
                None => true,
            }
        })
    }
}

/// What identifies an entry of a list that the API server merges; nothing for a list that is one value.
fn keys_of(list: &str) -> &'static [&'static str] {
    match list {
        "containers"
        | "initContainers"
        | "ephemeralContainers"
        | "volumes"
        | "env"
        | "imagePullSecrets"
        | "listeners" => &["name"],
        "ports" => &["containerPort", "port", "protocol"],
        "volumeMounts" => &["mountPath"],
        "topologySpreadConstraints" => &["topologyKey", "whenUnsatisfiable"],
        _ => &[],
    }
}

fn is_same_entry(one: &Value, two: &Value, keys: &[&str]) -> bool {
    keys.iter().all(|key| {
        let value = |entry: &Value| match entry.get(*key) {
            None if *key == "protocol" => json!("TCP"),
            found => found.cloned().unwrap_or_default(),
        };
        value(one) == value(two)
    })
}

/// Fields that the API server sets where nobody does: to anything, or to one value.
const FILLED_IN: &[&str] = &[
    "clusterIP",
    "clusterIPs",
    "ipFamilies",
    "ipFamilyPolicy",
    "nodePort",
    "healthCheckNodePort",
    "replicas",
    "selector",
    "imagePullPolicy",
    "serviceAccount",
    "creationTimestamp",
    "storageClassName",
    "volumeName",
    "status",
];

/// Whether a field that nobody planned is one that the API server sets by itself. What it sets besides
/// this (another release) is removed once, set again, and then known as the answer to that write.
fn is_filled_in(name: &str, found: &Value) -> bool {
    let is_nothing = match found {
        Value::Object(map) => map.iter().all(|(name, inner)| is_filled_in(name, inner)),
        found => is_nothing(found),
    };
    is_nothing || FILLED_IN.contains(&name) || default_of(name).contains(found)
}

/// Whether a value says no more than if it were left out.
fn is_nothing(found: &Value) -> bool {
    match found {
        Value::Null | Value::Bool(false) => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::String(text) => text.is_empty(),
        Value::Bool(true) | Value::Number(_) => false,
    }
}

fn default_of(name: &str) -> Vec<Value> {
    match name {
        "type" => vec![json!("ClusterIP"), json!("RollingUpdate")],
        "sessionAffinity" => vec![json!("None")],
        "internalTrafficPolicy" | "externalTrafficPolicy" => vec![json!("Cluster")],
        "allocateLoadBalancerNodePorts" | "enableServiceLinks" => vec![json!(true)],
        "protocol" => vec![json!("TCP")],
        "restartPolicy" => vec![json!("Always")],
        "dnsPolicy" => vec![json!("ClusterFirst")],
        "schedulerName" => vec![json!("default-scheduler")],
        "terminationGracePeriodSeconds" => vec![json!(30)],
        "terminationMessagePath" => vec![json!("/dev/termination-log")],
        "terminationMessagePolicy" => vec![json!("File")],
        "scheme" => vec![json!("HTTP")],
        "timeoutSeconds" | "successThreshold" | "parallelism" | "completions" | "minReplicas" => {
            vec![json!(1)]
        }
        "failureThreshold" => vec![json!(3)],
        "initialDelaySeconds" | "partition" | "minReadySeconds" => vec![json!(0)],
        "defaultMode" => vec![json!(420)],
        "divisor" => vec![json!("0")],
        "apiVersion" => vec![json!("v1")],
        "volumeMode" => vec![json!("Filesystem")],
        "periodSeconds" | "revisionHistoryLimit" => vec![json!(10)],
        "progressDeadlineSeconds" => vec![json!(600)],
        "maxSurge" | "maxUnavailable" => vec![json!("25%")],
        "podManagementPolicy" => vec![json!("OrderedReady")],
        "whenDeleted" | "whenScaled" => vec![json!("Retain")],
        "completionMode" => vec![json!("NonIndexed")],
        "podReplacementPolicy" => vec![json!("TerminatingOrFailed")],
        "backoffLimit" => vec![json!(6)],
        "policyTypes" => vec![json!(["Ingress"]), json!(["Ingress", "Egress"])],
        _ => Vec::new(),
    }
}

/// What the definitions of Gateway and HTTPRoute (Gateway API v1.6) set in a field that is left out.
fn gateway_default_of(name: &str) -> Vec<Value> {
    let same = json!({ "from": "Same" });
    let every_path = json!({ "type": "PathPrefix", "value": "/" });
    match name {
        "group" => vec![json!("gateway.networking.k8s.io")],
        "kind" => vec![json!("Gateway"), json!("Service"), json!("Secret")],
        "weight" => vec![json!(1)],
        "statusCode" => vec![json!(302)],
        "mode" => vec![json!("Terminate")],
        "type" => vec![json!("PathPrefix"), json!("Exact"), json!("IPAddress")],
        "value" => vec![json!("/")],
        "from" => vec![json!("Same")],
        "namespaces" => vec![same],
        "allowedRoutes" => vec![json!({ "namespaces": same })],
        "path" => vec![every_path],
        "matches" => vec![json!([{ "path": every_path }])],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests;

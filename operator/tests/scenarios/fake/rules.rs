//! What a server fills in, refuses and compares.

use serde_json::Value;

use super::store::Id;

/// A change that a server refuses: two ports of one name, another selector of a workload, other claims of a set.
pub(super) fn is_invalid(id: &Id, old: &Value, new: &Value) -> bool {
    let names = |object: &Value| {
        let ports = object["spec"]["ports"].as_array().cloned();
        let ports = ports.into_iter().flatten();
        ports
            .map(|port| port["name"].to_string())
            .collect::<Vec<_>>()
    };
    match id.resource.as_str() {
        "services" => {
            let (all, mut distinct) = (names(new), names(new));
            distinct.sort();
            distinct.dedup();
            all.len() != distinct.len()
        }
        "deployments" => new["spec"]["selector"] != old["spec"]["selector"],
        "statefulsets" => ["selector", "volumeClaimTemplates"]
            .iter()
            .any(|field| new["spec"][field] != old["spec"][field]),
        _ => false,
    }
}

/// What a server fills in: enough to prove that it is not taken for drift.
pub(super) fn default(id: &Id, object: &mut Value) {
    match id.resource.as_str() {
        "services" => {
            let spec = &mut object["spec"];
            if spec["clusterIP"].is_null() {
                spec["clusterIP"] = "10.0.0.1".into();
            }
            spec["sessionAffinity"] = "None".into();
            for port in spec["ports"].as_array_mut().into_iter().flatten() {
                if port["protocol"].is_null() {
                    port["protocol"] = "TCP".into();
                }
            }
        }
        "deployments" => {
            let spec = &mut object["spec"];
            if spec["replicas"].is_null() {
                spec["replicas"] = 1.into();
            }
            if spec["progressDeadlineSeconds"].is_null() {
                spec["progressDeadlineSeconds"] = 600.into();
            }
            let containers = spec["template"]["spec"]["containers"].as_array_mut();
            for container in containers.into_iter().flatten() {
                container["terminationMessagePath"] = "/dev/termination-log".into();
            }
        }
        _ => {}
    }
}

/// The fields of a body, as `fieldsV1` writes them; a list counts as one value.
pub(super) fn field_set(body: &Value) -> Value {
    let fields = body.as_object().into_iter().flatten();
    let fields = fields.map(|(name, value)| (format!("f:{name}"), field_set(value)));
    Value::Object(fields.collect())
}

pub(super) fn meta_matches(old: &Value, new: &Value, field: &str) -> bool {
    let wanted = &new["metadata"][field];
    wanted.is_null() || *wanted == old["metadata"][field]
}

/// Whether `new` gives another value to a field of `live` that `theirs` names.
pub(super) fn differs(live: &Value, theirs: &Value, new: &Value) -> bool {
    match (live, theirs, new) {
        (Value::Object(live), Value::Object(theirs), Value::Object(new)) => {
            theirs.iter().any(|(name, theirs)| {
                let pair = live.get(name).zip(new.get(name));
                pair.is_some_and(|(live, new)| differs(live, theirs, new))
            })
        }
        _ => live != new,
    }
}

/// Indexing made nulls where nothing was.
pub(super) fn drop_nulls(value: &mut Value) {
    if let Value::Object(map) = value {
        map.retain(|_, inner| !inner.is_null());
        map.values_mut().for_each(drop_nulls);
    }
}

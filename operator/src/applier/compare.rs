//! Whether a live object has every value that is planned.

use operator_plan::size::nano;
use serde_json::{Map, Value};

/// Fields that the API server drops from an object when they are empty.
const DROPPED_WHEN_EMPTY: &[&str] = &[
    "annotations",
    "labels",
    "matchLabels",
    "matchExpressions",
    "nodeSelector",
    "data",
    "requests",
    "limits",
];

/// Fields whose children are quantities, which the API server spells in its own way.
const QUANTITIES: &[&str] = &[
    "requests",
    "limits",
    "capacity",
    "sizeLimit",
    "averageValue",
];

/// Keys that identify the entries of a list.
const LIST_KEYS: &[&str] = &[
    "name",
    "uid",
    "mountPath",
    "containerPort",
    "port",
    "type",
    "topologyKey",
    "ip",
    "key",
];

/// Whether every field of `planned` has its value in `live`. What `live` has besides does not matter.
pub fn contains(live: &Value, planned: &Value) -> bool {
    within(live, planned, "")
}

fn within(live: &Value, planned: &Value, field: &str) -> bool {
    match (live, planned) {
        (_, Value::Null) => true,
        (Value::Object(live), Value::Object(planned)) => object_within(live, planned, field),
        (Value::Array(live), Value::Array(planned)) => list_within(live, planned, field),
        (Value::String(live), Value::String(planned)) if QUANTITIES.contains(&field) => {
            live == planned || same_quantity(live, planned)
        }
        _ => live == planned,
    }
}

fn object_within(live: &Map<String, Value>, planned: &Map<String, Value>, field: &str) -> bool {
    planned.iter().all(|(name, wanted)| {
        // Below a quantity list every entry is a quantity.
        let scope = if QUANTITIES.contains(&field) {
            field
        } else {
            name
        };
        match live.get(name) {
            Some(found) => within(found, wanted, scope),
            None => is_dropped(name, wanted),
        }
    })
}

fn is_dropped(name: &str, wanted: &Value) -> bool {
    match wanted {
        Value::Null => true,
        Value::Object(map) => map.is_empty() && DROPPED_WHEN_EMPTY.contains(&name),
        Value::Array(list) => list.is_empty(),
        // Metadata that only the server sets.
        _ => name == "creationTimestamp",
    }
}

fn list_within(live: &[Value], planned: &[Value], field: &str) -> bool {
    let same_place = live.len() == planned.len()
        && live
            .iter()
            .zip(planned)
            .all(|(live, planned)| within(live, planned, field));
    if same_place {
        return true;
    }
    // Lists that are maps: others may have added entries, and the server may keep another order.
    let shared =
        |key: &&&str| !planned.is_empty() && planned.iter().all(|entry| entry.get(**key).is_some());
    let Some(key) = LIST_KEYS.iter().find(shared) else {
        return false;
    };
    planned.iter().all(|wanted| {
        let mut candidates = live
            .iter()
            .filter(|found| found.get(*key) == wanted.get(*key));
        candidates.any(|found| within(found, wanted, field))
    })
}

/// Whether two texts are one quantity: `1000m` and `1`, `1024Mi` and `1Gi`.
fn same_quantity(one: &str, two: &str) -> bool {
    matches!((nano(one), nano(two)), (Some(a), Some(b)) if a == b)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn defaults_and_other_managers_fields_do_not_count() {
        let planned = json!({ "spec": { "ports": [{ "name": "http", "port": 80 }] } });
        let live = json!({ "metadata": { "uid": "u" }, "spec": {
            "clusterIP": "10.0.0.1", "ports": [{ "name": "http", "port": 80, "protocol": "TCP" }] } });
        assert!(contains(&live, &planned));
    }

    #[test]
    fn a_changed_removed_or_reordered_value_counts() {
        let planned = json!({ "spec": { "replicas": 2, "args": ["a", "b"] } });
        assert!(!contains(
            &json!({ "spec": { "replicas": 3, "args": ["a", "b"] } }),
            &planned
        ));
        assert!(!contains(
            &json!({ "spec": { "args": ["a", "b"] } }),
            &planned
        ));
        assert!(!contains(
            &json!({ "spec": { "replicas": 2, "args": ["b", "a"] } }),
            &planned
        ));
        assert!(!contains(
            &json!({ "spec": { "replicas": 2, "args": ["a"] } }),
            &planned
        ));
    }

    #[test]
    fn an_injected_container_is_somebody_elses_but_ours_must_be_right() {
        let planned = json!({ "containers": [{ "name": "app", "image": "one" }] });
        let with = |image: &str| json!({ "containers": [{ "name": "mesh" }, { "name": "app", "image": image }] });
        assert!(contains(&with("one"), &planned));
        assert!(!contains(&with("two"), &planned));
    }

    #[test]
    fn quantities_are_compared_by_value_and_only_where_they_are_quantities() {
        let limits = |cpu: &str, memory: &str| json!({ "resources": { "limits": { "cpu": cpu, "memory": memory } } });
        assert!(contains(&limits("1", "1Gi"), &limits("1000m", "1024Mi")));
        assert!(contains(&limits("500m", "128Mi"), &limits("0.5", "128Mi")));
        assert!(!contains(&limits("1", "1Gi"), &limits("2", "1Gi")));
        assert!(!contains(&json!({ "env": "1.0" }), &json!({ "env": "1" })));
    }

    #[test]
    fn an_empty_choice_that_was_replaced_counts_but_a_dropped_empty_map_does_not() {
        let planned = json!({ "name": "tmp", "emptyDir": {} });
        assert!(!contains(
            &json!({ "name": "tmp", "hostPath": { "path": "/" } }),
            &planned
        ));
        assert!(contains(
            &json!({}),
            &json!({ "labels": {}, "ingress": [] })
        ));
    }
}

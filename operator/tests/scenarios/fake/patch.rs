//! Merge patch and server-side apply, on plain JSON.

use serde_json::{Map, Value};

/// RFC 7396.
pub fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(target) = target else {
        return;
    };
    for (name, value) in patch {
        if value.is_null() {
            target.remove(name);
        } else {
            merge(target.entry(name).or_insert(Value::Null), value);
        }
    }
}

/// Maps that the API server takes as one value.
const ATOMIC: [&str; 3] = ["selector", "podSelector", "nodeSelector"];

/// What tells the entries of a list apart that the API server merges; of any other list it knows the whole.
fn keys_of(list: &str) -> &'static [&'static str] {
    match list {
        "containers" | "initContainers" | "volumes" | "env" => &["name"],
        "ports" => &["containerPort", "port"],
        "volumeMounts" => &["mountPath"],
        _ => &[],
    }
}

fn partner<'a>(list: &'a [Value], entry: &Value, keys: &[&str]) -> Option<&'a Value> {
    let is_same = |other: &&Value| keys.iter().all(|key| other.get(*key) == entry.get(*key));
    list.iter().find(is_same)
}

/// Applies `new` for a manager that applied `old` before: what it names is set, what it no longer
/// names is removed unless one of the `others` names it too.
pub fn apply(target: &mut Value, old: Option<&Value>, others: &[&Value], new: &Value) {
    if let Some(old) = old {
        remove_dropped(target, old, others, new, "");
    }
    set(target, new, "");
}

fn remove_dropped(target: &mut Value, old: &Value, others: &[&Value], new: &Value, field: &str) {
    if let (Value::Array(target), Value::Array(old), Value::Array(new)) = (&mut *target, old, new) {
        let keys = keys_of(field);
        if !keys.is_empty() {
            target.retain(|entry| {
                partner(old, entry, keys).is_none() || partner(new, entry, keys).is_some()
            });
        }
        return;
    }
    let (Value::Object(target), Value::Object(old), Value::Object(new)) = (target, old, new) else {
        return;
    };
    for (name, before) in old {
        let others: Vec<&Value> = others.iter().filter_map(|other| other.get(name)).collect();
        match (target.get_mut(name), new.get(name)) {
            (Some(_), None) if !before.is_object() => {
                if others.is_empty() {
                    target.remove(name);
                }
            }
            (Some(inner), None) => {
                let nothing = Value::Object(Map::new());
                remove_dropped(inner, before, &others, &nothing, name);
                if inner.as_object().is_some_and(Map::is_empty) {
                    target.remove(name);
                }
            }
            (Some(inner), Some(after)) => remove_dropped(inner, before, &others, after, name),
            (None, _) => {}
        }
    }
}

fn set(target: &mut Value, new: &Value, field: &str) {
    match (target, new) {
        (Value::Object(target), Value::Object(new)) if !ATOMIC.contains(&field) => {
            for (name, value) in new {
                set(target.entry(name).or_insert(Value::Null), value, name);
            }
        }
        (Value::Array(target), Value::Array(new)) if !keys_of(field).is_empty() => {
            let keys = keys_of(field);
            for entry in new {
                let is_same =
                    |other: &&mut Value| keys.iter().all(|key| other.get(*key) == entry.get(*key));
                match target.iter_mut().find(is_same) {
                    Some(found) => set(found, entry, ""),
                    None => target.push(entry.clone()),
                }
            }
        }
        (target, new) => *target = new.clone(),
    }
}

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

/// Applies `new` for a manager that applied `old` before: what it names is set, what it no longer
/// names is removed unless one of the `others` names it too. Lists are one value.
pub fn apply(target: &mut Value, old: Option<&Value>, others: &[&Value], new: &Value) {
    if let Some(old) = old {
        remove_dropped(target, old, others, new);
    }
    set(target, new);
}

fn remove_dropped(target: &mut Value, old: &Value, others: &[&Value], new: &Value) {
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
                remove_dropped(inner, before, &others, &Value::Object(Map::new()));
                if inner.as_object().is_some_and(Map::is_empty) {
                    target.remove(name);
                }
            }
            (Some(inner), Some(after)) => remove_dropped(inner, before, &others, after),
            (None, _) => {}
        }
    }
}

fn set(target: &mut Value, new: &Value) {
    match (target, new) {
        (Value::Object(target), Value::Object(new)) => {
            for (name, value) in new {
                set(target.entry(name).or_insert(Value::Null), value);
            }
        }
        (target, new) => *target = new.clone(),
    }
}

//! As much of the API server's structural validation as our own schemas use: types, required and
//! unknown fields, lengths, ranges, patterns, enumerations, and the filling in of defaults.

use regex::Regex;
use serde_json::Value;

/// Fills in the defaults of `schema`, as the API server does before it validates.
pub fn fill_defaults(schema: &Value, value: &mut Value) {
    if let (Some(properties), Some(object)) =
        (schema["properties"].as_object(), value.as_object_mut())
    {
        for (name, property) in properties {
            if !object.contains_key(name) && !property["default"].is_null() {
                object.insert(name.clone(), property["default"].clone());
            }
            if let Some(inner) = object.get_mut(name) {
                fill_defaults(property, inner);
            }
        }
    }
    let inner = &schema["additionalProperties"];
    for value in value
        .as_object_mut()
        .into_iter()
        .flat_map(|map| map.values_mut())
    {
        fill_defaults(inner, value);
    }
    for item in value.as_array_mut().into_iter().flatten() {
        fill_defaults(&schema["items"], item);
    }
}

/// What is wrong with `value`, each complaint with the path of the field.
pub fn complaints(schema: &Value, value: &Value, path: &str) -> Vec<String> {
    let mut found = Vec::new();
    if value.is_null() {
        if schema["nullable"] != true {
            found.push(format!("{path}: null is not allowed"));
        }
        return found;
    }
    let type_ = schema["type"].as_str().unwrap_or("object");
    let fits = match type_ {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        other => panic!("the schema of {path} has the type {other}, which no field should need"),
    };
    if !fits {
        found.push(format!("{path}: must be of type {type_}"));
        return found;
    }
    check_text(schema, value, path, &mut found);
    check_number(schema, value, path, &mut found);
    check_list(schema, value, path, &mut found);
    check_object(schema, value, path, &mut found);
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        found.push(format!("{path}: {value} is not one of {allowed:?}"));
    }
    found
}

fn check_text(schema: &Value, value: &Value, path: &str, found: &mut Vec<String>) {
    let Some(text) = value.as_str() else { return };
    let length = text.chars().count() as u64;
    if schema["minLength"].as_u64().is_some_and(|min| length < min)
        || schema["maxLength"].as_u64().is_some_and(|max| length > max)
    {
        found.push(format!("{path}: has {length} characters"));
    }
    if let Some(pattern) = schema["pattern"].as_str()
        && !Regex::new(pattern)
            .expect("patterns compile")
            .is_match(text)
    {
        found.push(format!("{path}: must match {pattern}"));
    }
}

fn check_number(schema: &Value, value: &Value, path: &str, found: &mut Vec<String>) {
    let Some(number) = value.as_f64() else { return };
    if schema["minimum"].as_f64().is_some_and(|min| number < min)
        || schema["maximum"].as_f64().is_some_and(|max| number > max)
    {
        found.push(format!("{path}: {number} is out of range"));
    }
}

fn check_list(schema: &Value, value: &Value, path: &str, found: &mut Vec<String>) {
    let Some(items) = value.as_array() else {
        return;
    };
    let length = items.len() as u64;
    if schema["minItems"].as_u64().is_some_and(|min| length < min)
        || schema["maxItems"].as_u64().is_some_and(|max| length > max)
    {
        found.push(format!("{path}: has {length} items"));
    }
    let keys = schema["x-kubernetes-list-map-keys"].as_array();
    let identity = |item: &Value| match (schema["x-kubernetes-list-type"].as_str(), keys) {
        (Some("set"), _) => Some(item.to_string()),
        (Some("map"), Some(keys)) => Some(
            keys.iter()
                .map(|key| item[key.as_str().expect("text")].to_string())
                .collect(),
        ),
        _ => None,
    };
    let mut seen = std::collections::BTreeSet::new();
    for (index, item) in items.iter().enumerate() {
        found.extend(complaints(
            &schema["items"],
            item,
            &format!("{path}[{index}]"),
        ));
        if identity(item).is_some_and(|id| !seen.insert(id)) {
            found.push(format!("{path}[{index}]: duplicate"));
        }
    }
}

fn check_object(schema: &Value, value: &Value, path: &str, found: &mut Vec<String>) {
    let Some(object) = value.as_object() else {
        return;
    };
    let length = object.len() as u64;
    if schema["maxProperties"]
        .as_u64()
        .is_some_and(|max| length > max)
    {
        found.push(format!("{path}: has {length} entries"));
    }
    for name in schema["required"].as_array().into_iter().flatten() {
        let name = name.as_str().expect("names are text");
        if !object.contains_key(name) {
            found.push(format!("{path}.{name}: is required"));
        }
    }
    for (name, inner) in object {
        let property = match &schema["properties"][name] {
            Value::Null => &schema["additionalProperties"],
            property => property,
        };
        if property.is_null() {
            found.push(format!("{path}.{name}: unknown field"));
        } else {
            found.extend(complaints(property, inner, &format!("{path}.{name}")));
        }
    }
}

//! Validates JSON against the schemas that our documents use.
//!
//! A full validator would bring forty crates and rebuild half of the workspace with other features. Unlike
//! one, this refuses properties that a schema does not name, and panics at a keyword that it does not know.

use regex::Regex;
use serde_json::{Map, Value};
use uuid::Uuid;

/// Keywords that say nothing about validity.
const ANNOTATIONS: [&str; 5] = ["description", "example", "examples", "default", "title"];

/// Every difference between `value` and `schema`, with its path. `document` resolves references.
pub fn differences(document: &Value, schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    Check {
        document,
        found: &mut found,
    }
    .value(schema, value, "$");
    found
}

struct Check<'a> {
    document: &'a Value,
    found: &'a mut Vec<String>,
}

impl Check<'_> {
    fn value(&mut self, schema: &Value, value: &Value, path: &str) {
        let keywords = schema.as_object().expect("a schema is an object");
        for (keyword, argument) in keywords {
            match keyword.as_str() {
                "$ref" => self.value(resolve(self.document, argument), value, path),
                "allOf" => self.all_of(argument, value, path),
                "oneOf" | "anyOf" => self.one_of(argument, value, path),
                "type" => self.expect(has_type(argument, value), path, "type", argument),
                "enum" => self.expect(items(argument).contains(value), path, "enum", argument),
                "format" => self.expect(has_format(argument, value), path, "format", argument),
                "minimum" => {
                    let holds = value.as_f64() >= argument.as_f64();
                    self.expect(value.is_null() || holds, path, "minimum", argument);
                }
                "maximum" => {
                    let holds = value.as_f64() <= argument.as_f64();
                    self.expect(holds, path, "maximum", argument);
                }
                "minLength" | "maxLength" => {
                    let holds = has_length(keyword, argument, value);
                    self.expect(holds, path, keyword, argument);
                }
                "pattern" => self.expect(has_pattern(argument, value), path, "pattern", argument),
                "required" => self.required(argument, value, path),
                "properties" => self.properties(keywords, value, path),
                "items" => self.items(argument, value, path),
                "additionalProperties" | "propertyNames" => {}
                annotation if ANNOTATIONS.contains(&annotation) => {}
                unknown => panic!("the schema keyword {unknown} is not supported"),
            }
        }
    }

    fn expect(&mut self, holds: bool, path: &str, keyword: &str, argument: &Value) {
        if !holds {
            self.found
                .push(format!("{path}: not of {keyword} {argument}"));
        }
    }

    fn all_of(&mut self, schemas: &Value, value: &Value, path: &str) {
        for schema in items(schemas) {
            self.value(schema, value, path);
        }
    }

    fn one_of(&mut self, schemas: &Value, value: &Value, path: &str) {
        let matches = items(schemas)
            .iter()
            .any(|schema| differences(self.document, schema, value).is_empty());
        self.expect(matches, path, "oneOf", schemas);
    }

    fn required(&mut self, names: &Value, value: &Value, path: &str) {
        for name in items(names).iter().filter_map(Value::as_str) {
            if value.is_object() && value.get(name).is_none() {
                self.found.push(format!("{path}.{name}: missing"));
            }
        }
    }

    fn properties(&mut self, schema: &Map<String, Value>, value: &Value, path: &str) {
        let more_are_allowed = schema.contains_key("additionalProperties");
        for (name, value) in value.as_object().into_iter().flatten() {
            let path = format!("{path}.{name}");
            match schema["properties"].get(name) {
                Some(schema) => self.value(schema, value, &path),
                None if more_are_allowed => {}
                None => self.found.push(format!("{path}: not documented")),
            }
        }
    }

    fn items(&mut self, schema: &Value, value: &Value, path: &str) {
        for (index, value) in value.as_array().into_iter().flatten().enumerate() {
            self.value(schema, value, &format!("{path}[{index}]"));
        }
    }
}

fn resolve<'a>(document: &'a Value, reference: &Value) -> &'a Value {
    let pointer = reference.as_str().and_then(|r| r.strip_prefix('#'));
    let target = pointer.and_then(|pointer| document.pointer(pointer));
    target.unwrap_or_else(|| panic!("the reference {reference} leads nowhere"))
}

fn items(list: &Value) -> &[Value] {
    list.as_array().expect("a list")
}

fn has_type(names: &Value, value: &Value) -> bool {
    let is = |name: &Value| match name.as_str().expect("a type") {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        unknown => panic!("the type {unknown} is not supported"),
    };
    match names {
        Value::Array(names) => names.iter().any(is),
        name => is(name),
    }
}

/// Lengths and patterns are those of text; other types have none.
fn has_length(keyword: &str, limit: &Value, value: &Value) -> bool {
    let limit = limit.as_u64().expect("a length");
    let length = value.as_str().map(|text| text.chars().count() as u64);
    length.is_none_or(|length| match keyword {
        "minLength" => length >= limit,
        _ => length <= limit,
    })
}

fn has_pattern(pattern: &Value, value: &Value) -> bool {
    let pattern = Regex::new(pattern.as_str().expect("a pattern")).expect("a valid pattern");
    value.as_str().is_none_or(|text| pattern.is_match(text))
}

fn has_format(format: &Value, value: &Value) -> bool {
    let Some(text) = value.as_str() else {
        // Formats of numbers are their width; null has no format.
        return true;
    };
    match format.as_str().expect("a format") {
        "uuid" => Uuid::try_parse(text).is_ok(),
        "date-time" => chrono::DateTime::parse_from_rfc3339(text).is_ok(),
        "date" => text.parse::<chrono::NaiveDate>().is_ok(),
        "int32" | "int64" | "float" | "double" | "password" => true,
        unknown => panic!("the format {unknown} is not supported"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(value: &Value) -> Vec<String> {
        let document = json!({"components": {"schemas": {
            "Money": {
                "type": "object", "required": ["minor", "currency"],
                "properties": {
                    "minor": {"type": "integer", "format": "int64", "minimum": 0},
                    "currency": {"type": "string", "enum": ["EUR", "USD"]},
                },
            },
            "Order": {
                "type": "object", "required": ["id", "total", "lines"],
                "properties": {
                    "id": {"type": "string", "format": "uuid", "description": "Its id"},
                    "total": {"allOf": [{"$ref": "#/components/schemas/Money"}]},
                    "paid_at": {"type": ["string", "null"], "format": "date-time"},
                    "discount": {"oneOf": [{"type": "null"}, {"$ref": "#/components/schemas/Money"}]},
                    "lines": {"type": "array", "items": {"type": "string"}},
                    "country": {"type": "string", "pattern": "^[A-Z]{2}$"},
                    "city": {"type": "string", "minLength": 1, "maxLength": 6},
                },
            },
        }}});
        differences(
            &document,
            &json!({"$ref": "#/components/schemas/Order"}),
            value,
        )
    }

    fn order() -> Value {
        json!({
            "id": "01900000-0000-7000-8000-000000000001", "lines": ["mug"],
            "total": {"minor": 100, "currency": "EUR"}, "paid_at": null, "discount": null,
            "country": "DE", "city": "Köln",
        })
    }

    #[test]
    fn a_value_as_its_schema_says_has_no_differences() {
        assert_eq!(found(&order()), Vec::<String>::new());
    }

    #[test]
    fn each_difference_is_found_with_its_path() {
        for (pointer, value, difference) in [
            ("/id", json!("seven"), "$.id: not of format"),
            ("/id", json!(7), "$.id: not of type"),
            ("/total", json!({"minor": 1}), "$.total.currency: missing"),
            ("/total/minor", json!(1.5), "$.total.minor: not of type"),
            ("/total/minor", json!(-1), "$.total.minor: not of minimum"),
            (
                "/total/currency",
                json!("XXX"),
                "$.total.currency: not of enum",
            ),
            ("/paid_at", json!("yesterday"), "$.paid_at: not of format"),
            (
                "/discount",
                json!({"minor": "1"}),
                "$.discount: not of oneOf",
            ),
            ("/lines", json!(["mug", 7]), "$.lines[1]: not of type"),
            ("/lines", json!({}), "$.lines: not of type"),
            ("/country", json!("de"), "$.country: not of pattern"),
            ("/city", json!(""), "$.city: not of minLength"),
            ("/city", json!("Münster"), "$.city: not of maxLength"),
        ] {
            let mut order = order();
            *order.pointer_mut(pointer).expect("a field") = value;
            let found = found(&order);
            assert!(
                found.iter().any(|f| f.starts_with(difference)),
                "{pointer}: {found:?}"
            );
        }
    }

    #[test]
    fn a_field_that_no_schema_names_is_a_difference() {
        let mut order = order();
        order["secret"] = json!("x");
        assert_eq!(found(&order), ["$.secret: not documented"]);
    }
}

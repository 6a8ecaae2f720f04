//! The parts of an OpenAPI document that tests read.

use serde_json::Value;

/// A parsed document.
pub struct Document(pub Value);

/// One operation of a document.
pub struct Operation<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub value: &'a Value,
}

impl Document {
    pub fn parse(json: &str) -> Self {
        Self(serde_json::from_str(json).expect("the OpenAPI document is JSON"))
    }

    pub fn operations(&self) -> impl Iterator<Item = Operation<'_>> {
        let paths = self.0["paths"].as_object().expect("paths");
        paths.iter().flat_map(|(path, item)| {
            let item = item.as_object().expect("a path item");
            item.iter().map(move |(method, value)| Operation {
                method,
                path,
                value,
            })
        })
    }

    pub fn operation(&self, method: &str, path: &str) -> Option<&Value> {
        self.0["paths"].get(path)?.get(method.to_ascii_lowercase())
    }
}

impl Operation<'_> {
    pub fn id(&self) -> &str {
        self.value["operationId"].as_str().expect("an operationId")
    }

    /// Permissions that the bearer token must grant; none if the operation needs no token.
    pub fn permissions(&self) -> Option<Vec<&str>> {
        let requirement = self.value.get("security")?.get(0)?.get("bearer")?;
        let names = requirement.as_array().expect("a list of permissions");
        Some(names.iter().filter_map(Value::as_str).collect())
    }
}

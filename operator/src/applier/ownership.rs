//! Hands fields over from the create of this operator to its apply.
//!
//! `managedFields` tells what a create or an update wrote (operation `Update`) from what was applied
//! (operation `Apply`), also when one manager did both. An apply removes a field that it no longer names
//! only if nobody else owns it, so what a create wrote would stay for ever. Renaming the entry, which is
//! what `kubectl` does when it moves from client-side to server-side apply, makes later applies right.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use operator_plan::objects::MANAGER;
use serde_json::{Map, Value};

/// The list with our creates counted as applies; `None` when there is nothing to hand over.
pub fn handed_over(managed: &[ManagedFieldsEntry]) -> Option<Value> {
    let is_created = |entry: &&ManagedFieldsEntry| is_ours(entry, "Update");
    let created: Vec<&ManagedFieldsEntry> = managed.iter().filter(is_created).collect();
    let newest = *created.first()?;
    let others = managed
        .iter()
        .filter(|entry| !is_ours(entry, "Update") && !is_ours(entry, "Apply"));
    let applied = managed.iter().filter(|entry| is_ours(entry, "Apply"));
    let mut fields = Value::Object(Map::new());
    for entry in created.iter().copied().chain(applied) {
        let more = serde_json::to_value(&entry.fields_v1).unwrap_or_default();
        unite(&mut fields, more);
    }
    let mut list: Vec<Value> = others
        .filter_map(|entry| serde_json::to_value(entry).ok())
        .collect();
    let mut ours = serde_json::to_value(newest).ok()?;
    ours["operation"] = "Apply".into();
    ours["fieldsV1"] = fields;
    list.push(ours);
    Some(Value::Array(list))
}

fn is_ours(entry: &ManagedFieldsEntry, operation: &str) -> bool {
    entry.manager.as_deref() == Some(MANAGER)
        && entry.operation.as_deref() == Some(operation)
        && entry.subresource.as_deref().unwrap_or_default().is_empty()
}

/// Field sets are objects all the way down.
fn unite(target: &mut Value, more: Value) {
    let (Value::Object(target), Value::Object(more)) = (target, more) else {
        return;
    };
    for (name, value) in more {
        unite(
            target
                .entry(name)
                .or_insert_with(|| Value::Object(Map::new())),
            value,
        );
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entries(list: &Value) -> Vec<ManagedFieldsEntry> {
        serde_json::from_value(list.clone()).unwrap()
    }

    fn entry(manager: &str, operation: &str, fields: &Value) -> Value {
        json!({ "manager": manager, "operation": operation, "apiVersion": "v1",
            "fieldsType": "FieldsV1", "fieldsV1": fields })
    }

    #[test]
    fn what_was_created_counts_as_applied_and_others_stay() {
        let list = json!([
            entry("kubectl", "Update", &json!({ "f:metadata": {} })),
            entry(MANAGER, "Update", &json!({ "f:spec": { "f:a": {} } })),
            entry(MANAGER, "Apply", &json!({ "f:spec": { "f:b": {} } })),
        ]);
        let handed = handed_over(&entries(&list)).unwrap();
        assert_eq!(
            handed,
            json!([
                entry("kubectl", "Update", &json!({ "f:metadata": {} })),
                entry(
                    MANAGER,
                    "Apply",
                    &json!({ "f:spec": { "f:a": {}, "f:b": {} } })
                ),
            ])
        );
        assert_eq!(handed_over(&entries(&handed)), None);
    }

    #[test]
    fn a_status_that_we_wrote_is_not_touched() {
        let mut status = entry(MANAGER, "Update", &json!({ "f:status": {} }));
        status["subresource"] = "status".into();
        assert_eq!(handed_over(&entries(&json!([status]))), None);
    }
}

//! Hands fields over from the create of this operator to its apply.
//!
//! `managedFields` tells what a create or an update wrote (operation `Update`) from what was applied
//! (operation `Apply`), also when one manager did both. An apply removes a field that it no longer names
//! only if nobody else owns it, so what a create wrote would stay for ever. Renaming the entry, which is
//! what `kubectl` does when it moves from client-side to server-side apply, makes later applies right.
//!
//! Finalizers are not handed over: they are written by an update and no plan names them, so the apply after
//! that would remove them, and an object that is deleted then goes without what its finalizer is for (a dump).

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use operator_plan::objects::MANAGER;
use serde_json::{Map, Value};

/// A set of fields, as `fieldsV1` writes it.
type Fields = Map<String, Value>;

/// The list with our creates counted as applies, and finalizers as updates; `None` when it is so already.
pub fn handed_over(managed: &[ManagedFieldsEntry]) -> Option<Value> {
    let of = |operation| managed.iter().filter(move |it| is_ours(it, operation));
    let newest = of("Update").chain(of("Apply")).next()?;
    let (mut created, mut applied) = (united(of("Update")), united(of("Apply")));
    let mut finalizers = take_finalizers(&mut created);
    let applied_finalizers = take_finalizers(&mut applied);
    if created.is_empty() && applied_finalizers.is_empty() {
        return None;
    }
    unite(&mut applied, created);
    unite(&mut finalizers, applied_finalizers);
    let mut list: Vec<Value> = managed
        .iter()
        .filter(|entry| !is_ours(entry, "Update") && !is_ours(entry, "Apply"))
        .filter_map(|entry| serde_json::to_value(entry).ok())
        .collect();
    for (operation, fields) in [("Update", finalizers), ("Apply", applied)] {
        if fields.is_empty() {
            continue;
        }
        let mut ours = serde_json::to_value(newest).ok()?;
        ours["operation"] = operation.into();
        ours["fieldsV1"] = fields.into();
        list.push(ours);
    }
    Some(Value::Array(list))
}

/// Takes the finalizers out of a field set, as a field set.
fn take_finalizers(fields: &mut Fields) -> Fields {
    const METADATA: &str = "f:metadata";
    let Some(Value::Object(meta)) = fields.get_mut(METADATA) else {
        return Fields::new();
    };
    let taken = meta.remove_entry("f:finalizers");
    if meta.is_empty() {
        fields.remove(METADATA);
    }
    let taken = taken.map(|entry| {
        (
            METADATA.to_owned(),
            Value::Object([entry].into_iter().collect()),
        )
    });
    taken.into_iter().collect()
}

fn is_ours(entry: &ManagedFieldsEntry, operation: &str) -> bool {
    entry.manager.as_deref() == Some(MANAGER)
        && entry.operation.as_deref() == Some(operation)
        && entry.subresource.as_deref().unwrap_or_default().is_empty()
}

fn united<'a>(entries: impl Iterator<Item = &'a ManagedFieldsEntry>) -> Fields {
    let mut all = Fields::new();
    for entry in entries {
        if let Ok(Value::Object(more)) = serde_json::to_value(&entry.fields_v1) {
            unite(&mut all, more);
        }
    }
    all
}

/// Field sets are objects all the way down.
fn unite(target: &mut Fields, more: Fields) {
    for (name, value) in more {
        let known = target.entry(name).or_insert_with(|| Fields::new().into());
        if let (Value::Object(known), Value::Object(more)) = (known, value) {
            unite(known, more);
        }
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
    fn finalizers_stay_with_the_update_that_wrote_them() {
        let held = json!({ "f:finalizers": { "v:\"storefront.dev/database\"": {} } });
        let finalizers = json!({ "f:metadata": held });
        let labels = json!({ "f:metadata": { "f:labels": {} } });
        let mut both = labels.clone();
        both["f:metadata"]["f:finalizers"] = held["f:finalizers"].clone();
        let apart = json!([
            entry(MANAGER, "Update", &finalizers),
            entry(MANAGER, "Apply", &labels),
        ]);
        // As it is after the create, and as releases before left it.
        for operation in ["Update", "Apply"] {
            let list = json!([entry(MANAGER, operation, &both)]);
            assert_eq!(handed_over(&entries(&list)), Some(apart.clone()));
        }
        assert_eq!(handed_over(&entries(&apart)), None);
    }

    #[test]
    fn a_status_that_we_wrote_is_not_touched() {
        let mut status = entry(MANAGER, "Update", &json!({ "f:status": {} }));
        status["subresource"] = "status".into();
        assert_eq!(handed_over(&entries(&json!([status]))), None);
    }
}

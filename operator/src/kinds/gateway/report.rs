//! Writes statuses that other controllers write too.
//!
//! Lists such as a route's `parents` are atomic to the API server, so server-side apply would remove
//! the entries of others. The whole list is written instead, but only onto the version that it was
//! computed from: a write that lost a race fails and is computed again.

use kube::ResourceExt;
use kube::api::{Api, Patch};
use kube::core::object::HasStatus;
use kube_cache::{Full, Key};
use serde::Serialize;
use serde_json::{Value, json};

use crate::caches::CachedKind;
use crate::context::Context;
use crate::error::{Error, code};
use crate::patches::merge_params;

/// Writes a status if it changed.
pub async fn status<K>(
    ctx: &Context,
    api: &Api<K>,
    object: &K,
    new: &K::Status,
) -> Result<(), Error>
where
    K: CachedKind + HasStatus,
    K::Status: Serialize,
{
    let what = format!("{} {}", K::kind(&()), Key::of(object));
    let encode = |status: &K::Status| {
        serde_json::to_value(status).map_err(|source| Error::Encode {
            what: what.clone(),
            source,
        })
    };
    let mut new = encode(new)?;
    let old = object.status().map(encode).transpose()?;
    let is_news = match &old {
        Some(old) => *old != new,
        None => !is_blank(&new),
    };
    if !is_news {
        return Ok(());
    }
    drop_missing(old.as_ref(), &mut new);
    let patch = json!({
        "metadata": { "resourceVersion": object.resource_version(), "uid": object.uid() },
        "status": new,
    });
    match api
        .patch_status(&object.name_any(), &merge_params(), &Patch::Merge(&patch))
        .await
    {
        Ok(answer) => {
            K::cache(&ctx.caches).record(Full::new(answer));
            Ok(())
        }
        Err(error) if code(&error) == Some(404) => Ok(()),
        Err(source) => Err(Error::api("patch the status of", what, source)),
    }
}

/// A merge patch removes only what it names: what is no longer there is named as null.
fn drop_missing(old: Option<&Value>, new: &mut Value) {
    let (Some(Value::Object(old)), Value::Object(new)) = (old, new) else {
        return;
    };
    for name in old.keys() {
        if !new.contains_key(name) {
            new.insert(name.clone(), Value::Null);
        }
    }
}

/// Whether a status has no content: no need to write it where there is none.
fn is_blank(status: &Value) -> bool {
    match status {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.values().all(is_blank),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_vanished_is_named() {
        let mut new = json!({ "conditions": [] });
        drop_missing(
            Some(&json!({ "conditions": [1], "addresses": [2] })),
            &mut new,
        );
        assert_eq!(new, json!({ "conditions": [], "addresses": null }));
    }

    #[test]
    fn a_status_without_content_is_blank() {
        assert!(is_blank(&json!({ "parents": [] })));
        assert!(!is_blank(
            &json!({ "conditions": [{ "type": "Accepted" }] })
        ));
    }
}

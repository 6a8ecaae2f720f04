//! What a watch receives.

use std::borrow::Cow;
use std::sync::Arc;

use kube::Resource;
use kube::core::error_boundary::InvalidObject;
use kube::core::{ApiResource, DynamicResourceScope, ObjectMeta};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// An object as the API server sent it, decoded by whoever knows its type.
///
/// ## Why text
/// A watch is generic over what it receives. Watches of typed objects are the same code once for each type, and
/// reading each object into a tree first, which isolates what cannot be decoded, is a second decoder for each type:
/// together they were 40 % of the operator's machine code. The text is read once, by the type's one decoder.
#[derive(Clone, Debug)]
pub struct Sent {
    /// Without labels, annotations and what else a watch does not need.
    meta: ObjectMeta,
    text: Box<RawValue>,
}

/// What a watch must know of an object before it is decoded, and what is left where it cannot be.
#[derive(Deserialize)]
struct Head {
    metadata: HeadMeta,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HeadMeta {
    namespace: Option<String>,
    name: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    generation: Option<i64>,
}

impl Sent {
    /// The object as this type, or why it is none.
    pub fn decode<K: DeserializeOwned>(&self) -> Result<K, Arc<InvalidObject>> {
        serde_json::from_str(self.text.get()).map_err(|error| {
            Arc::new(InvalidObject {
                error: error.to_string(),
                metadata: self.meta.clone(),
            })
        })
    }
}

/// Needs serde_json's reader of text. In a watch event the object's `type` must come before it, as every API server
/// writes it (the order of the fields of Go's `metav1.WatchEvent`).
impl<'de> Deserialize<'de> for Sent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<RawValue>::deserialize(deserializer)?;
        let Head { metadata } = serde_json::from_str(text.get()).map_err(D::Error::custom)?;
        let meta = ObjectMeta {
            namespace: metadata.namespace,
            name: metadata.name,
            uid: metadata.uid,
            resource_version: metadata.resource_version,
            generation: metadata.generation,
            ..ObjectMeta::default()
        };
        Ok(Self { meta, text })
    }
}

impl Resource for Sent {
    type DynamicType = ApiResource;
    type Scope = DynamicResourceScope;

    fn kind(resource: &ApiResource) -> Cow<'_, str> {
        resource.kind.as_str().into()
    }

    fn group(resource: &ApiResource) -> Cow<'_, str> {
        resource.group.as_str().into()
    }

    fn version(resource: &ApiResource) -> Cow<'_, str> {
        resource.version.as_str().into()
    }

    fn api_version(resource: &ApiResource) -> Cow<'_, str> {
        resource.api_version.as_str().into()
    }

    fn plural(resource: &ApiResource) -> Cow<'_, str> {
        resource.plural.as_str().into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.meta
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.meta
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::core::WatchEvent;

    use super::*;

    fn event(object: &str) -> Sent {
        let line = format!(r#"{{"type":"ADDED","object":{object}}}"#);
        match serde_json::from_str(&line) {
            Ok(WatchEvent::Added(sent)) => sent,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_object_is_decoded_from_the_text_that_came() {
        let sent = event(
            r#"{"metadata":{"namespace":"shops","name":"a","resourceVersion":"7","labels":{"b":"c"}},"data":{"d":"e"}}"#,
        );
        assert_eq!(sent.meta().resource_version.as_deref(), Some("7"));
        let map: ConfigMap = sent.decode().unwrap();
        assert_eq!(map.data.unwrap()["d"], "e");
        assert_eq!(map.metadata.labels.unwrap()["b"], "c");
    }

    #[test]
    fn one_that_is_not_of_the_type_is_known_by_name_and_says_why() {
        let sent = event(
            r#"{"metadata":{"namespace":"shops","name":"a","resourceVersion":"7","uid":"u","generation":3},"data":5}"#,
        );
        let invalid = sent.decode::<ConfigMap>().unwrap_err();
        assert!(
            invalid.error.contains("expected a map"),
            "{}",
            invalid.error
        );
        let meta = &invalid.metadata;
        assert_eq!(meta.namespace.as_deref(), Some("shops"));
        assert_eq!(meta.name.as_deref(), Some("a"));
        assert_eq!(meta.resource_version.as_deref(), Some("7"));
        assert_eq!((meta.uid.as_deref(), meta.generation), (Some("u"), Some(3)));
    }

    #[test]
    fn a_page_of_a_list_holds_objects_too() {
        let page = r#"{"kind":"ConfigMapList","apiVersion":"v1","metadata":{"resourceVersion":"9"},
            "items":[{"metadata":{"name":"a","resourceVersion":"7"}}]}"#;
        let page: kube::core::ObjectList<Sent> = serde_json::from_str(page).unwrap();
        assert_eq!(page.items[0].meta().name.as_deref(), Some("a"));
    }
}

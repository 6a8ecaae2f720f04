//! Which Kubernetes object.

use kube::core::Resource;

/// Identity of an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectKey {
    /// API group; empty for the core.
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
}

/// The key of a typed object.
pub fn key_of<K: Resource<DynamicType = ()>>(namespace: &str, name: &str) -> ObjectKey {
    ObjectKey {
        group: K::group(&()).into_owned(),
        kind: K::kind(&()).into_owned(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    }
}

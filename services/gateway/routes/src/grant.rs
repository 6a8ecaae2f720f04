//! ReferenceGrants: whether an object may point into another namespace.

use crate::ObjectName;
use crate::objects::Objects;

pub(crate) struct Pointer<'a> {
    pub group: &'a str,
    pub kind: &'a str,
    pub namespace: &'a str,
}

pub(crate) struct Target<'a> {
    kind: &'a str,
    name: &'a ObjectName,
}

impl<'a> Target<'a> {
    /// An object of the core group.
    pub fn core(kind: &'a str, name: &'a ObjectName) -> Self {
        Self { kind, name }
    }
}

pub(crate) fn allows(objects: &Objects, from: &Pointer<'_>, to: &Target<'_>) -> bool {
    objects
        .reference_grants
        .iter()
        .filter(|grant| grant.metadata.namespace.as_deref() == Some(to.name.namespace.as_str()))
        .any(|grant| {
            let from_fits = grant.spec.from.iter().any(|entry| {
                entry.group == from.group
                    && entry.kind == from.kind
                    && entry.namespace == from.namespace
            });
            let to_fits = grant.spec.to.iter().any(|entry| {
                entry.group.is_empty()
                    && entry.kind == to.kind
                    && entry.name.as_ref().is_none_or(|name| *name == to.name.name)
            });
            from_fits && to_fits
        })
}

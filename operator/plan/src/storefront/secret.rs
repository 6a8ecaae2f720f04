//! Planning of a shop's own Secrets.

use k8s_openapi::api::core::v1::Secret;

use super::{Data, Valid};
use crate::{Mode, Objects, Planned, own_secret::OwnSecret, pods};

/// Type of a Secret without a schema.
pub(crate) const OPAQUE: &str = "Opaque";

/// Plans a Secret whose content cannot be made again: it is created once and from then on only kept in
/// shape; without content it stays as it is. With `deletionPolicy: Retain` it has no owner, so that data
/// left behind can still be opened.
pub(crate) fn plan_generated(
    valid: &Valid,
    objects: &mut Objects<Planned>,
    (secret, kind): (&OwnSecret, &str),
    data: Option<Data>,
) {
    let name = valid.child(secret.part);
    let Some(data) = data else {
        objects.keep::<Secret>(&valid.scope.namespace, &name);
        return;
    };
    let mode = if valid.seen.own.contains_key(&name) {
        Mode::Apply
    } else {
        Mode::Create
    };
    let mut meta = valid.meta(secret.part);
    if valid.retains() {
        meta.owner_references = None;
    }
    objects.push(mode, &pods::secret(meta, kind, data));
}

/// Plans a Secret that is computed from other ones and the spec; while those are not complete it stays as
/// it is, because an older one serves better than none.
pub(crate) fn plan_computed(
    valid: &Valid,
    objects: &mut Objects<Planned>,
    (secret, kind): (&OwnSecret, &str),
    data: Option<Data>,
) {
    if let Some(data) = data {
        objects.apply(&pods::secret(valid.meta(secret.part), kind, data));
    } else {
        objects.keep::<Secret>(&valid.scope.namespace, &valid.child(secret.part));
    }
}

/// The content of a Secret of texts.
pub(crate) fn text<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Data {
    pairs
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.as_bytes().to_vec()))
        .collect()
}

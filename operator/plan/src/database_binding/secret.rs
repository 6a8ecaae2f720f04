//! The Secret of a binding: made once with a fresh password, never edited (servicebinding.io).

use std::collections::BTreeMap;

use crds::DatabaseBinding;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::validate::Valid;
use crate::objects::{MANAGER, OWNER_UID_LABEL, owner_of};

/// What a Secret of our name means for us.
#[derive(Clone, PartialEq, Eq)]
pub enum Keys {
    /// It is ours and right; this is the password.
    Good(String),
    /// It is ours, but says something else about the server or the names: to be replaced, with the
    /// same password where it has one.
    Stale(Option<String>),
    /// It belongs to a deleted binding of the same name, and goes with it.
    Leaving,
    /// It belongs to somebody else.
    Foreign,
}

/// The Secret as it should be.
pub fn secret(binding: &DatabaseBinding, valid: &Valid, password: &str) -> Secret {
    let names = &valid.wanted.names;
    let labels = BTreeMap::from([
        (
            "app.kubernetes.io/managed-by".to_owned(),
            MANAGER.to_owned(),
        ),
        (OWNER_UID_LABEL.to_owned(), valid.wanted.mark.uid.clone()),
    ]);
    Secret {
        metadata: ObjectMeta {
            name: Some(names.secret.clone()),
            namespace: Some(valid.wanted.mark.namespace.clone()),
            labels: Some(labels),
            owner_references: Some(vec![owner_of(binding)]),
            ..ObjectMeta::default()
        },
        type_: Some("servicebinding.io/postgresql".into()),
        immutable: Some(true),
        data: Some(content(valid, password)),
        ..Secret::default()
    }
}

fn content(valid: &Valid, password: &str) -> BTreeMap<String, ByteString> {
    let (server, names) = (&valid.server, &valid.wanted.names);
    let host = if server.host.contains(':') {
        format!("[{}]", server.host)
    } else {
        server.host.clone()
    };
    // Role and database are identifiers, the password is base64url: nothing needs escaping.
    let uri = format!(
        "postgresql://{}:{password}@{host}:{}/{}",
        names.login, server.port, names.database
    );
    [
        ("type", "postgresql".to_owned()),
        ("provider", "storefront".to_owned()),
        ("host", server.host.clone()),
        ("port", server.port.to_string()),
        ("database", names.database.clone()),
        ("username", names.login.clone()),
        ("password", password.to_owned()),
        ("uri", uri),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), ByteString(value.into_bytes())))
    .collect()
}

/// What `found`, a Secret of our name, means for us.
pub fn standing(valid: &Valid, found: &Secret) -> Keys {
    let owners = found.metadata.owner_references.iter().flatten();
    let Some(owner) = owners
        .into_iter()
        .find(|owner| owner.controller == Some(true))
    else {
        return Keys::Foreign;
    };
    if owner.uid != valid.wanted.mark.uid {
        let ours = owner.kind == "DatabaseBinding" && owner.name == valid.wanted.mark.name;
        return if ours { Keys::Leaving } else { Keys::Foreign };
    }
    let data = found.data.clone().unwrap_or_default();
    let password = data
        .get("password")
        .and_then(|bytes| String::from_utf8(bytes.0.clone()).ok())
        .filter(|password| !password.is_empty());
    match password {
        Some(password) if data == content(valid, &password) => Keys::Good(password),
        other => Keys::Stale(other),
    }
}

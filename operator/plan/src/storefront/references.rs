//! The user's Secrets that a spec refers to.

use std::collections::BTreeMap;

use crds::{Storefront, StorefrontSpec};

use super::{Data, secrets::SMTP, valid::Missing};
use crate::{
    Waiting,
    backing::{
        Backing,
        server::{Reference, Unreadable},
    },
};

/// The user's Secrets that the spec refers to.
pub(super) fn references(spec: &StorefrontSpec) -> Vec<Reference<'_>> {
    let tls = spec.gateway.tls.as_ref();
    let tls = tls.and_then(|tls| tls.secret_ref.as_ref());
    let tls = tls.map(|secret| Reference {
        field: "spec.gateway.tls.secretRef",
        name: &secret.name,
        keys: &["tls.crt", "tls.key"],
        check: |_| Ok(()),
    });
    let servers = Backing::of(spec).into_iter();
    let servers = servers.filter_map(|backing| backing.reference(spec));
    servers.chain(tls).chain(mail_login(spec)).collect()
}

fn mail_login(spec: &StorefrontSpec) -> Option<Reference<'_>> {
    let login = spec.notifications.email.smtp.secret_ref.as_ref()?;
    Some(Reference {
        field: "spec.notifications.email.smtp.secretRef",
        name: &login.name,
        keys: &["username", "password"],
        check: |_| Ok(()),
    })
}

/// The user's Secret that one of the shop's own is made of: `secret` is its name.
pub(super) fn source<'a>(shop: &'a Storefront, secret: &str) -> Option<Reference<'a>> {
    let of_shop = shop.metadata.name.as_deref().unwrap_or_default();
    let part = secret.strip_prefix(of_shop)?.strip_prefix('-')?;
    if part == SMTP.part {
        return mail_login(&shop.spec);
    }
    let mut servers = Backing::of(&shop.spec).into_iter();
    let server = servers.find(|server| server.secrets().iter().any(|own| own.part == part))?;
    server.reference(&shop.spec)
}

/// The Secrets that the spec names and that cannot be used, in the order of [`references`].
pub(super) fn missing(spec: &StorefrontSpec, referenced: &BTreeMap<String, Data>) -> Vec<Missing> {
    let missing = references(spec).into_iter().filter_map(|reference| {
        let on = check(&reference, referenced.get(reference.name)).err()?;
        let secret = reference.name.to_owned();
        Some(Missing { secret, on })
    });
    missing.collect()
}

fn check(reference: &Reference<'_>, data: Option<&Data>) -> Result<(), Waiting> {
    let Reference {
        field,
        name,
        keys,
        check,
    } = *reference;
    let Some(data) = data else {
        let keys = keys.join(", ");
        return Err(Waiting::new(
            "SecretMissing",
            format!("{field}: the Secret {name} does not exist; create it with {keys}"),
        ));
    };
    if let Some(key) = keys.iter().find(|key| !data.contains_key(**key)) {
        return Err(Waiting::new(
            "SecretIncomplete",
            format!("{field}: the Secret {name} has no key {key}; add it"),
        ));
    }
    check(data).map_err(|Unreadable { key, must }| {
        Waiting::new(
            "SecretUnreadable",
            format!("{field}: the {key} in the Secret {name} {must}"),
        )
    })
}

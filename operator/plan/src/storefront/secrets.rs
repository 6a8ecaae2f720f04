//! The shop's Secrets, in front of whatever mounts them.

use crds::Storefront;

use super::{
    Data, Valid, certificate, issuer,
    known::{RECOVERY, SIGNING_KEYS},
    secret::{OPAQUE, plan_computed, plan_generated, text},
    signing_keys::{asked, signing_keys},
};
use crate::{
    Objects, Planned, backing,
    own_secret::{Content, OwnSecret},
};

/// Login of the first administrator.
pub(super) const ADMIN: OwnSecret = OwnSecret {
    part: "admin",
    content: Content::Chosen { key: "password" },
    when: |_| true,
};
/// Token of calls between the shop's own services.
pub(super) const INTERNAL: OwnSecret = OwnSecret::generated("internal", "token");
/// Binding to the mail server.
pub(super) const SMTP: OwnSecret = OwnSecret::computed("smtp");

/// The Secrets of a shop that are not about a backing server.
pub(super) const SECRETS: &[OwnSecret] = &[
    ADMIN,
    SIGNING_KEYS,
    INTERNAL,
    RECOVERY,
    certificate::SECRET,
    SMTP,
];

/// Plans every Secret.
pub(super) fn plan(valid: &Valid, objects: &mut Objects<Planned>) {
    let password = valid.generated(&ADMIN);
    let data = password.map(|password| admin(valid, password));
    plan_generated(valid, objects, (&ADMIN, OPAQUE), data);
    plan_generated(valid, objects, (&SIGNING_KEYS, OPAQUE), keys(valid));
    let token = valid.generated(&INTERNAL);
    let data = token.map(|token| text([("token", token)]));
    plan_generated(valid, objects, (&INTERNAL, OPAQUE), data);
    backing::plan_credentials(valid, objects);
    if let Some(data) = certificate::content(valid) {
        let secret = (&certificate::SECRET, "kubernetes.io/tls");
        plan_computed(valid, objects, secret, Some(data));
    }
    backing::plan_configuration(valid, objects);
    let mail = (&SMTP, "servicebinding.io/smtp");
    plan_computed(valid, objects, mail, smtp(valid));
}

/// The signing keys, after the step that is due.
pub(super) fn keys(valid: &Valid) -> Option<Data> {
    let own = valid.known().signing_keys();
    let fresh = valid.seen.fresh.signing_key.as_ref();
    signing_keys(
        own.as_ref(),
        fresh,
        asked(&valid.storefront),
        valid.seen.now,
    )
}

/// That of the spec; else one that stays the same when the shop gets other host names.
fn admin_email(storefront: &Storefront) -> String {
    if let Some(admin) = &storefront.spec.admin {
        return admin.email.clone();
    }
    let issuer = issuer(storefront);
    let host = issuer.split_once("://").map_or("", |(_, host)| host);
    format!("admin@{host}")
}

fn admin(valid: &Valid, password: &str) -> Data {
    let email = admin_email(&valid.storefront);
    text([
        ("email", email.as_str()),
        ("username", "admin"),
        ("password", password),
    ])
}

/// The binding to the mail server; none while its login is missing, without which no mail would go out.
fn smtp(valid: &Valid) -> Option<Data> {
    let smtp = &valid.storefront.spec.notifications.email.smtp;
    let login = smtp.secret_ref.as_ref();
    if login.is_some_and(|login| valid.lacks(&login.name)) {
        return None;
    }
    let port = smtp.port.to_string();
    let mut data = text([
        ("type", "smtp"),
        ("provider", "storefront"),
        ("host", smtp.host.as_str()),
        ("port", port.as_str()),
        ("from", smtp.from.as_str()),
    ]);
    let login = login.and_then(|login| valid.seen.referenced.get(&login.name));
    for key in ["username", "password"] {
        if let Some(value) = login.and_then(|login| login.get(key)) {
            data.insert(key.to_owned(), value.clone());
        }
    }
    Some(data)
}

//! The shop's Secrets, in front of whatever mounts them.

use super::{
    Data, Valid, certificate,
    secret::{OPAQUE, plan_computed, plan_generated, text},
    signing_keys::{asked, signing_keys},
};
use crate::{
    Objects, Planned, backing,
    own_secret::{Content, OwnSecret},
};

const ADMIN: &str = "admin";
const INTERNAL: &str = "internal";
const SIGNING_KEYS: &str = "signing-keys";
const SMTP: &str = "smtp";

/// The Secrets of a shop that are not about a backing server.
pub(super) const SECRETS: &[OwnSecret] = &[
    OwnSecret::generated(ADMIN, "password"),
    OwnSecret {
        part: SIGNING_KEYS,
        content: Content::SigningKeys,
        when: |_| true,
    },
    OwnSecret::generated(INTERNAL, "token"),
    OwnSecret {
        part: certificate::SECRET,
        content: Content::Certificate,
        when: certificate::is_ours,
    },
    OwnSecret::computed(SMTP),
];

/// Plans every Secret.
pub(super) fn plan(valid: &Valid, objects: &mut Objects<Planned>) {
    let password = valid.generated(ADMIN, "password");
    let data = password.map(|password| admin(valid, password));
    plan_generated(valid, objects, (ADMIN, OPAQUE), data);
    plan_generated(valid, objects, (SIGNING_KEYS, OPAQUE), keys(valid));
    let token = valid.generated(INTERNAL, "token");
    let data = token.map(|token| text([("token", token)]));
    plan_generated(valid, objects, (INTERNAL, OPAQUE), data);
    backing::plan_credentials(valid, objects);
    if let Some(data) = certificate::content(valid) {
        let secret = (certificate::SECRET, "kubernetes.io/tls");
        plan_computed(valid, objects, secret, Some(data));
    }
    backing::plan_configuration(valid, objects);
    let mail = (SMTP, "servicebinding.io/smtp");
    plan_computed(valid, objects, mail, smtp(valid));
}

fn keys(valid: &Valid) -> Option<Data> {
    let own = valid.seen.own.get(&valid.child(SIGNING_KEYS));
    let fresh = valid.seen.fresh.signing_key.as_ref();
    signing_keys(own, fresh, asked(&valid.storefront), valid.seen.now)
}

fn admin(valid: &Valid, password: &str) -> Data {
    let host = valid.storefront.spec.hostnames.first();
    let email = format!("admin@{}", host.map_or("localhost", String::as_str));
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

//! Names of planned objects, each a valid DNS label whatever the owner is called.

use std::collections::BTreeSet;

use crds::AuthMode;
use service_catalogue::Service;

use crate::hash;

/// Longest DNS label.
pub const MAX_LABEL: usize = 63;

/// `<base>-<suffix>`, shortened with a hash of the whole where it would exceed a DNS label.
pub fn child(base: &str, suffix: &str) -> String {
    let plain = format!("{base}-{suffix}");
    if plain.len() <= MAX_LABEL {
        return plain;
    }
    let tag = hash::short([base.as_bytes()]);
    let longest = MAX_LABEL.saturating_sub(suffix.len() + tag.len() + 2);
    let head: String = base.chars().take(longest).collect();
    format!("{}-{tag}-{suffix}", head.trim_end_matches(['-', '.']))
}

/// Name of the HTTPRoute for the paths of a workload that the same callers may use, and of its token policy.
pub fn route(workload: &str, auth: AuthMode, roles: &BTreeSet<String>) -> String {
    let kind = match auth {
        AuthMode::Required => "required",
        AuthMode::Optional => "optional",
        AuthMode::Public => "public",
    };
    if roles.is_empty() {
        return child(workload, kind);
    }
    let tag = hash::short(roles.iter().map(String::as_bytes));
    child(workload, &format!("{kind}-{tag}"))
}

/// A label value: unchanged where it fits, else shortened with a hash.
pub fn label_value(text: &str) -> String {
    if text.len() <= MAX_LABEL {
        return text.to_owned();
    }
    let tag = hash::short([text.as_bytes()]);
    let head: String = text.chars().take(MAX_LABEL - tag.len() - 1).collect();
    format!("{}-{tag}", head.trim_end_matches(['-', '.', '_']))
}

/// Name that the first Secret of a DatabaseBinding had once, and still has where it was made then.
pub fn plain_secret(binding: &str) -> String {
    child(binding, "db")
}

/// Name of the Secret with the credentials of a binding after this number of rotations. No binding had it
/// before, one of the same name included: a node that knows an immutable Secret by its name gives new pods
/// the content that it knows.
pub fn credentials_secret(binding: &str, uid: &str, number: i64) -> String {
    let tag = hash::short([uid.as_bytes(), number.to_be_bytes().as_slice()]);
    child(binding, &format!("db-{tag}"))
}

/// The service that a ServiceDeployment or a DatabaseBinding called `name` is for, where it is one of the
/// own ones of the shop called `shop`.
pub fn service_called(shop: &str, name: &str) -> Option<Service> {
    let part = name.strip_prefix(shop)?.strip_prefix('-')?;
    Service::ALL
        .into_iter()
        .find(|service| service.name() == part)
}

/// The shop whose own binding one of this name is, where there is such a shop, and the service.
pub fn shop_of_binding(name: &str) -> Option<(&str, Service)> {
    let of = |service: Service| {
        let shop = name.strip_suffix(service.name())?.strip_suffix('-')?;
        Some((shop, service))
    };
    let mut with_database = Service::ALL.into_iter().filter(|it| it.has_database());
    with_database.find_map(of)
}

//! Hostnames that more than one shop has. Each shop has a Gateway with an address of its own, so nothing here
//! decides which one visitors reach; but somebody should know.

use std::collections::BTreeMap;

use crds::Storefront;

use crate::conditions::Aspect;

/// Whether two shops have a hostname in common.
pub fn share_a_host(one: &Storefront, other: &Storefront) -> bool {
    let (a, b) = (&one.metadata, &other.metadata);
    (&a.namespace, &a.name) != (&b.namespace, &b.name)
        && one
            .spec
            .hostnames
            .iter()
            .any(|host| other.spec.hostnames.contains(host))
}

/// The hostnames of a shop that others have as well, each with the first of them.
pub fn shared_hosts<'a>(
    shop: &Storefront,
    all: impl IntoIterator<Item = &'a Storefront>,
) -> BTreeMap<String, String> {
    let mut shared: BTreeMap<String, String> = BTreeMap::new();
    let others = all
        .into_iter()
        .filter(|other| other.metadata.deletion_timestamp.is_none())
        .filter(|other| share_a_host(shop, other));
    for other in others {
        let (namespace, name) = (&other.metadata.namespace, &other.metadata.name);
        let other_name = format!(
            "{}/{}",
            namespace.as_deref().unwrap_or_default(),
            name.as_deref().unwrap_or_default()
        );
        let hosts = other.spec.hostnames.iter();
        for host in hosts.filter(|host| shop.spec.hostnames.contains(host)) {
            let first = shared
                .entry(host.clone())
                .or_insert_with(|| other_name.clone());
            if other_name < *first {
                first.clone_from(&other_name);
            }
        }
    }
    shared
}

/// There is such a condition only while a hostname is shared. It does not concern whether the shop is ready.
pub(super) fn aspect(shared: &BTreeMap<String, String>) -> Option<Aspect> {
    let (host, other) = shared.first_key_value()?;
    let more = match shared.len() - 1 {
        0 => String::new(),
        1 => " (and one more hostname is shared)".to_owned(),
        more => format!(" (and {more} more hostnames are shared)"),
    };
    Some(Aspect::yes(
        "HostnameShared",
        "OtherStorefront",
        format!(
            "spec.hostnames: {host} is also a hostname of Storefront {other}{more}; each has a Gateway with an address of \
             its own, and DNS decides which one is reached: remove it from one of them"
        ),
    ))
}

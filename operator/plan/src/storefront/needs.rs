//! What must be known before a shop can be planned: Secrets to read, and random material to make.

use std::collections::{BTreeMap, BTreeSet};

use crds::Storefront;
use jiff::Timestamp;

use super::{
    Data, bus_cluster, certificate,
    material::present,
    secrets::SIGNING_KEYS,
    signing_keys::{self, Rotation},
};

/// What to read before a shop can be planned. All of it is read by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Needs {
    /// The shop's own Secrets whose content must not change by itself, and the one that an issuer of
    /// certificates fills.
    pub own: Vec<String>,
    /// Secrets of the user that the spec refers to.
    pub referenced: Vec<String>,
}

/// Random material that the shop does not have yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MissingMaterial {
    /// Passwords and tokens, each by the name of the Secret that will hold it.
    pub passwords: BTreeSet<String>,
    /// Whether a signing key is needed: there is none, or the next one is due.
    pub signing_key: bool,
}

/// A Secret that holds one generated value.
pub(super) struct Generated {
    /// End of the Secret's name.
    pub(super) part: &'static str,
    /// Key of the value.
    pub(super) key: &'static str,
}

const fn password(part: &'static str) -> Generated {
    let key = "password";
    Generated { part, key }
}

/// The Secrets of a shop that hold one generated value each.
fn generated(storefront: &Storefront) -> Vec<Generated> {
    let token = Generated {
        part: "internal",
        key: "token",
    };
    let mut all = vec![password("admin"), token, password("nats-auth")];
    if storefront.spec.database.external.is_none() {
        all.push(password("postgres-admin"));
    }
    if storefront.spec.queue.nats.replicas > 1 {
        all.push(password(bus_cluster::ROUTES));
    }
    if storefront.spec.cache.external.is_none() {
        all.push(password("redis-auth"));
    }
    all
}

/// What to read before the shop can be planned.
pub fn needs(storefront: &Storefront) -> Needs {
    let shop = storefront.metadata.name.as_deref().unwrap_or_default();
    let parts = generated(storefront).into_iter().map(|secret| secret.part);
    let own = parts.chain([SIGNING_KEYS]);
    Needs {
        own: own
            .map(|part| format!("{shop}-{part}"))
            .chain(certificate::own_secret(storefront))
            .collect(),
        referenced: super::referenced_secrets(storefront),
    }
}

/// What has to be generated, given the Secrets of [`Needs::own`] that exist.
pub fn missing_material(
    storefront: &Storefront,
    own: &BTreeMap<String, Data>,
    now: Timestamp,
) -> MissingMaterial {
    let shop = storefront.metadata.name.as_deref().unwrap_or_default();
    let lacking = generated(storefront).into_iter().filter_map(|secret| {
        let name = format!("{shop}-{}", secret.part);
        let value = present(own.get(&name), secret.key);
        value.is_none().then_some(name)
    });
    let keys = own.get(&format!("{shop}-{SIGNING_KEYS}"));
    let asked = signing_keys::asked(storefront);
    MissingMaterial {
        passwords: lacking.collect(),
        signing_key: Rotation::next(keys, asked, now).needs_key(),
    }
}

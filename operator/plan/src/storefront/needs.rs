//! What must be known before a shop can be planned: Secrets to read, and random material to generate.

use std::collections::{BTreeMap, BTreeSet};

use crds::Storefront;
use jiff::Timestamp;
use kube::core::Resource;

use super::{
    Data,
    known::Known,
    references::references,
    secrets::SECRETS,
    signing_keys::{self, Rotation},
};
use crate::{
    ObjectKey,
    backing::{self, Backing},
    objects::{Objects, Planned, key_of},
    own_secret::{Content, OwnSecret},
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

/// The Secrets that are made for the shop.
pub(super) fn own_secrets(storefront: &Storefront) -> impl Iterator<Item = &'static OwnSecret> {
    let spec = &storefront.spec;
    let of_servers = Backing::of(spec).into_iter().flat_map(Backing::secrets);
    let all = SECRETS.iter().chain(of_servers);
    all.filter(move |secret| (secret.when)(spec))
}

fn name_of(storefront: &Storefront, part: &str) -> String {
    let shop = storefront.metadata.name.as_deref().unwrap_or_default();
    format!("{shop}-{part}")
}

/// What to read before the shop can be planned.
pub fn needs(storefront: &Storefront) -> Needs {
    let read = own_secrets(storefront).filter(|secret| secret.content.is_read());
    let referenced = references(&storefront.spec).into_iter();
    Needs {
        own: read
            .map(|secret| name_of(storefront, secret.part))
            .collect(),
        referenced: referenced
            .map(|reference| reference.name.to_owned())
            .collect(),
    }
}

/// The workloads of the shop's servers, to be read and left as they are.
pub fn servers(storefront: &Storefront) -> Objects<Planned> {
    let namespace = storefront.metadata.namespace.as_deref();
    let shop = storefront.metadata.name.as_deref();
    let place = (namespace.unwrap_or_default(), shop.unwrap_or_default());
    backing::live(&storefront.spec, place)
}

/// Names of the volume claims of the shop's servers. None of a shop that is being deleted: their
/// end is that of the shop then.
pub fn volume_claims(storefront: &Storefront) -> Vec<String> {
    if storefront.metadata.deletion_timestamp.is_some() {
        return Vec::new();
    }
    let shop = storefront.metadata.name.as_deref().unwrap_or_default();
    let claims = backing::claims(&storefront.spec, shop);
    claims.map(|(name, _)| name).collect()
}

/// The set that makes volume claims of this name.
pub fn set_of_claim(claim: &str) -> Option<&str> {
    backing::volume::set_of(claim)
}

/// The parts of shops that have volumes, whichever servers a shop uses.
pub fn parts_with_volumes() -> Vec<&'static str> {
    backing::parts_with_volumes()
}

/// Names of every Secret that is made for the shop: no other one may have them.
pub(super) fn taken_secrets(storefront: &Storefront) -> Vec<String> {
    own_secrets(storefront)
        .map(|secret| name_of(storefront, secret.part))
        .collect()
}

/// Names of every Secret that is, was or may be made for a shop of this name, whichever servers it uses.
pub(super) fn every_secret(storefront: &Storefront) -> impl Iterator<Item = String> + use<'_> {
    let of_servers = Backing::ALL.into_iter().flat_map(Backing::secrets);
    let all = SECRETS.iter().chain(of_servers);
    all.map(|secret| name_of(storefront, secret.part))
}

/// What has to be generated, given the Secrets of [`Needs::own`] that exist.
pub fn missing_material(
    storefront: &Storefront,
    own: &BTreeMap<String, Data>,
    now: Timestamp,
) -> MissingMaterial {
    let mut missing = MissingMaterial::default();
    let shop = storefront.metadata.name.as_deref().unwrap_or_default();
    let known = Known::of(shop, own);
    for secret in own_secrets(storefront) {
        let name = name_of(storefront, secret.part);
        match secret.content {
            Content::Generated { .. } | Content::Chosen { .. } => {
                if known.value(secret).is_none() {
                    missing.passwords.insert(name);
                }
            }
            Content::SigningKeys => {
                let asked = signing_keys::asked(storefront);
                let next = Rotation::next(known.signing_keys().as_ref(), asked, now);
                missing.signing_key = next.needs_key();
            }
            Content::Certificate | Content::Computed | Content::Copies => {}
        }
    }
    missing
}

/// Whether a child of the shop that no plan names may be deleted. Everything may but Secrets: of these
/// only the ones that can be made again, and never one with a password of a server, a binding or a key.
pub fn may_be_pruned(storefront: &Storefront, child: &ObjectKey) -> bool {
    use k8s_openapi::api::core::v1::Secret;
    let namespace = storefront.meta().namespace.as_deref().unwrap_or_default();
    if *child != key_of::<Secret>(&child.namespace, &child.name) {
        return true;
    }
    // Servers that the shop no longer uses count too.
    let of_servers = Backing::ALL.into_iter().flat_map(Backing::secrets);
    let mut named = SECRETS
        .iter()
        .chain(of_servers)
        .filter(|secret| name_of(storefront, secret.part) == child.name)
        .peekable();
    child.namespace == namespace
        && named.peek().is_some()
        && named.all(|secret| secret.may_be_pruned(&storefront.spec))
}

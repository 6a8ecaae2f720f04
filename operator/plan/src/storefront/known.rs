//! What is known of the shop's own Secrets: what is in them, or was before they were lost or edited.

use std::collections::BTreeMap;

use super::material::{Data, present};
use crate::own_secret::{Content, OwnSecret};

/// Keys that sign tokens.
pub(super) const SIGNING_KEYS: OwnSecret = OwnSecret {
    part: "signing-keys",
    content: Content::SigningKeys,
    when: |_| true,
};
/// The copies. Each entry is called `<end of the Secret's name>.<key>`.
pub(super) const RECOVERY: OwnSecret = OwnSecret {
    part: "recovery",
    content: Content::Copies,
    when: |_| true,
};

/// The Secrets of a shop that exist, and what is known of their content.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    shop: &'a str,
    own: &'a BTreeMap<String, Data>,
}

impl<'a> Known<'a> {
    /// The Secrets of the shop of this name.
    pub(super) fn of(shop: &'a str, own: &'a BTreeMap<String, Data>) -> Self {
        Self { shop, own }
    }

    fn data(self, part: &str) -> Option<&'a Data> {
        self.own.get(&format!("{}-{part}", self.shop))
    }

    /// The value that a Secret has, or had before it was lost.
    pub(super) fn value(self, secret: &OwnSecret) -> Option<&'a str> {
        let key = secret.content.key()?;
        let copy = || present(self.data(RECOVERY.part), &entry(secret.part, key));
        // A server of the user may have had the Secret of this name: its password is not one of ours, and
        // may hold what our configuration files do not take.
        let is_ours = |data: &&Data| present(Some(data), "provider") != Some("external");
        let own = || present(self.data(secret.part).filter(is_ours), key);
        match secret.content {
            Content::Chosen { .. } => own().or_else(copy),
            _ => copy().or_else(own),
        }
    }

    /// The signing keys that there are, or were before they were lost. A key is called after itself, so one
    /// whose content is another than that of its copy was edited.
    pub(super) fn signing_keys(self) -> Option<Data> {
        let copies = self.copies();
        let Some(own) = self.data(SIGNING_KEYS.part) else {
            return (!copies.is_empty()).then_some(copies);
        };
        if !has_active(own) && has_active(&copies) {
            return Some(copies);
        }
        let mut keys = own.clone();
        for (name, value) in &mut keys {
            let is_key = name.strip_suffix(".pem").is_some();
            if let Some(copy) = copies.get(name).filter(|_| is_key) {
                value.clone_from(copy);
            }
        }
        Some(keys)
    }

    fn copies(self) -> Data {
        let copies = self.data(RECOVERY.part).into_iter().flatten();
        let prefix = entry(SIGNING_KEYS.part, "");
        let of_keys = copies.filter_map(|(name, value)| {
            let name = name.strip_prefix(&prefix)?;
            Some((name.to_owned(), value.clone()))
        });
        of_keys.collect()
    }
}

fn has_active(keys: &Data) -> bool {
    let active = present(Some(keys), "active").unwrap_or_default().trim();
    present(Some(keys), &format!("{active}.pem")).is_some()
}

/// Name of a copy.
pub(super) fn entry(part: &str, key: &str) -> String {
    format!("{part}.{key}")
}

//! The shop's certificate: where it comes from, and when a self-signed one has to be renewed.

use std::collections::{BTreeMap, BTreeSet};

use crds::{Storefront, StorefrontSpec, storefront::IssuerRef};
use gateway_routes::certificate::signed_by;
use jiff::{SignedDuration, Timestamp};

use super::{Data, Valid};
use crate::own_secret::{Content, OwnSecret};

/// Common name of the authority of self-signed certificates.
pub const AUTHORITY: &str = "Storefront self-signed authority";
/// Validity of a self-signed certificate.
pub const LIFE: SignedDuration = SignedDuration::from_hours(365 * 24);
/// The Secret, where its name is ours.
pub(super) const SECRET: OwnSecret = OwnSecret {
    part: "tls",
    content: Content::Certificate,
    when: is_ours,
};
/// cert-manager's group, which its annotations leave out.
const CERT_MANAGER: &str = "cert-manager.io";
/// What a Secret of a certificate consists of.
const PARTS: [&str; 3] = ["tls.crt", "tls.key", "ca.crt"];

/// What is read from a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The hosts that it is valid for.
    pub hostnames: BTreeSet<String>,
    /// Start of its validity.
    pub not_before: Timestamp,
    /// End of its validity.
    pub not_after: Timestamp,
}

impl Certificate {
    /// When to renew it: when a third of its validity is left.
    fn renewal(&self) -> Timestamp {
        self.not_after - self.not_before.duration_until(self.not_after) / 3
    }
}

/// Whether the operator has to make a certificate now: the shop wants a self-signed one, and there is
/// no usable one, or it is for other hosts, or it is due for renewal.
pub fn is_due(storefront: &Storefront, known: Option<&Certificate>, now: Timestamp) -> bool {
    let wants = own_secret(storefront).is_some() && issuer(storefront).is_none();
    let is_valid = |known: &Certificate| {
        let hostnames: BTreeSet<_> = storefront.spec.hostnames.iter().cloned().collect();
        known.hostnames == hostnames && known.not_before <= now && now < known.renewal()
    };
    wants && !known.is_some_and(is_valid)
}

/// The Secret that the listeners of the shop refer to; none without TLS.
pub(super) fn secret(storefront: &Storefront) -> Option<String> {
    let tls = storefront.spec.gateway.tls.as_ref()?;
    let users = tls.secret_ref.as_ref().map(|secret| secret.name.clone());
    users.or_else(|| own_secret(storefront))
}

/// The Secret with a name that is ours: the operator writes it, or an issuer does.
pub fn own_secret(storefront: &Storefront) -> Option<String> {
    let name = storefront.metadata.name.as_deref().unwrap_or_default();
    is_ours(&storefront.spec).then(|| format!("{name}-{}", SECRET.part))
}

/// Whether the Secret of the certificate has a name that is ours.
fn is_ours(spec: &StorefrontSpec) -> bool {
    let tls = spec.gateway.tls.as_ref();
    tls.is_some_and(|tls| tls.secret_ref.is_none())
}

fn issuer(storefront: &Storefront) -> Option<&IssuerRef> {
    let tls = storefront.spec.gateway.tls.as_ref()?;
    tls.issuer_ref.as_ref().filter(|_| tls.secret_ref.is_none())
}

/// The annotations by which cert-manager makes a certificate for a Gateway.
pub(super) fn annotations(storefront: &Storefront) -> BTreeMap<String, String> {
    let Some(issuer) = issuer(storefront) else {
        return BTreeMap::new();
    };
    let pairs = match (issuer.group.as_deref(), issuer.kind.as_str()) {
        // cert-manager refuses kind and group next to `cluster-issuer`, and accepts any kind next to `issuer`.
        (Some(group), kind) if group != CERT_MANAGER => vec![
            ("issuer", issuer.name.as_str()),
            ("issuer-kind", kind),
            ("issuer-group", group),
        ],
        (_, "ClusterIssuer") => vec![("cluster-issuer", issuer.name.as_str())],
        _ => vec![("issuer", issuer.name.as_str())],
    };
    pairs
        .into_iter()
        .map(|(key, value)| (format!("{CERT_MANAGER}/{key}"), value.to_owned()))
        .collect()
}

impl Valid {
    /// Whether the certificate of an issuer is waited for.
    pub fn awaits_certificate(&self) -> bool {
        self.awaited_certificate().is_some()
    }

    /// The chain in the Secret with a name that is ours.
    fn own_chain(&self) -> Option<&Vec<u8>> {
        let name = own_secret(&self.storefront)?;
        self.seen.own.get(&name)?.get("tls.crt")
    }

    /// Message while the certificate of an issuer is waited for.
    pub(super) fn awaited_certificate(&self) -> Option<String> {
        let issuer = issuer(&self.storefront)?;
        let secret = own_secret(&self.storefront)?;
        let why = match self.own_chain() {
            None => "does not exist yet",
            Some(chain) if signed_by(chain).as_deref() == Some(AUTHORITY) => {
                "still holds the self-signed one of before, which is served until then"
            }
            Some(_) => return None,
        };
        Some(format!(
            "waiting for the certificate from {} {}: the Secret {secret} {why}; see `kubectl describe certificate {secret}`",
            issuer.kind, issuer.name
        ))
    }
}

/// The content of the shop's own certificate, where it has one: a new one, or the one that exists.
pub(super) fn content(valid: &Valid) -> Option<Data> {
    let name = own_secret(&valid.storefront)?;
    if issuer(&valid.storefront).is_some() {
        return None;
    }
    if let Some(minted) = &valid.seen.minted {
        let parts = [&minted.certificate, &minted.key, &minted.authority];
        let parts = parts.map(|text| text.as_bytes().to_vec());
        return Some(PARTS.map(str::to_owned).into_iter().zip(parts).collect());
    }
    let kept = valid.seen.own.get(&name)?.clone();
    Some(
        kept.into_iter()
            .filter(|(key, _)| PARTS.contains(&key.as_str()))
            .collect(),
    )
}

#[cfg(test)]
mod tests;

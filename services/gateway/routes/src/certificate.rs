//! Certificates: one check for what is served and for what is reported, and the last good ones.
//!
//! ## Why the last good certificate is kept
//! A Secret that was overwritten with something that cannot be served, or was deleted, must not end HTTPS for
//! everybody. The data plane goes on with the pair that it had. So that a new pod can do so too, the operator
//! keeps the last good pair of each listener in a Secret of its own, [`kept_secret`].

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Secret;
use rustls::Error;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::extensions::GeneralName;

use crate::api::{Gateway, Listener};

/// Decoded content of a Secret.
pub type Data = BTreeMap<String, Vec<u8>>;

/// Type of the Secret with the last good certificates.
pub const KEPT_TYPE: &str = "storefront.dev/kept-certificates";
const KEPT_SUFFIX: &str = "-kept-certificates";
/// Longest name of a Secret, and of a key in it.
const MAX_NAME: usize = 253;

static PROVIDER: LazyLock<CryptoProvider> = LazyLock::new(aws_lc_rs::default_provider);

/// From when until when a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// Its first second.
    pub not_before: Timestamp,
    /// Its last second.
    pub not_after: Timestamp,
}

impl Validity {
    /// Whether it is valid at `now`.
    pub fn holds(&self, now: Timestamp) -> bool {
        self.problem(now).is_none()
    }

    /// The reason why it is not valid at `now`.
    pub fn problem(&self, now: Timestamp) -> Option<String> {
        if now < self.not_before {
            return Some(format!(
                "the certificate is not valid before {}",
                self.not_before
            ));
        }
        (now > self.not_after).then(|| format!("the certificate expired at {}", self.not_after))
    }

    /// How long until the answer to [`Validity::holds`] changes.
    pub fn turn(&self, now: Timestamp) -> Option<SignedDuration> {
        let next = [self.not_before, self.not_after]
            .into_iter()
            .find(|at| *at >= now)?;
        Some(now.duration_until(next) + SignedDuration::from_secs(1))
    }
}

/// Whether a Secret can be served as a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateState {
    /// Chain and key can be served, while the certificate is valid, to clients of these hosts.
    Usable(Validity, Hosts),
    /// The reason why they cannot.
    Malformed(String),
    /// It holds no certificate at all.
    NoCertificate,
}

/// The DNS names that a certificate is for (RFC 6125), in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hosts(Arc<[String]>);

impl Hosts {
    /// These names.
    pub fn new(names: impl IntoIterator<Item = String>) -> Self {
        let names = names.into_iter().map(|name| name.to_ascii_lowercase());
        Self(names.collect())
    }

    /// The reason why clients of a listener's hostname refuse the certificate. `*` stands for one label (RFC 6125 6.4.3), so a
    /// listener of `*.example.com` needs that name itself.
    pub fn problem(&self, hostname: Option<&str>) -> Option<String> {
        let host = hostname
            .filter(|host| !host.is_empty())?
            .to_ascii_lowercase();
        let parent = host
            .split_once('.')
            .map(|(_, parent)| format!("*.{parent}"));
        let covers = |name: &String| *name == host || parent.as_ref() == Some(name);
        if self.0.iter().any(covers) {
            return None;
        }
        let named = if self.0.is_empty() {
            "names no host".to_owned()
        } else {
            format!("is for {}", self.0.join(", "))
        };
        Some(format!(
            "the certificate {named}, so clients of {host} refuse it"
        ))
    }
}

/// A certificate chain with its key, as TLS needs it.
#[derive(Clone)]
pub struct Pair {
    /// Chain and key.
    pub key: Arc<CertifiedKey>,
    /// When it is valid.
    pub validity: Validity,
    /// What it is for.
    pub hosts: Hosts,
}

impl Pair {
    /// That it can be served.
    pub fn state(&self) -> CertificateState {
        CertificateState::Usable(self.validity, self.hosts.clone())
    }
}

impl std::fmt::Debug for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pair")
            .field("validity", &self.validity)
            .finish_non_exhaustive()
    }
}

/// Reads a chain and its key, both PEM; the error says which of them cannot be served, and why.
pub fn read_pair(chain: &[u8], key: &[u8]) -> Result<Pair, String> {
    let chain = CertificateDer::pem_slice_iter(chain)
        .collect::<Result<Vec<_>, _>>()
        .ok()
        .filter(|chain| !chain.is_empty())
        .ok_or("tls.crt holds no PEM certificate chain")?;
    let (validity, hosts) = facts(&chain[0])?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| {
        if is_encrypted(key) {
            "tls.key is encrypted with a passphrase; store it without one"
        } else {
            "tls.key holds no PEM private key"
        }
    })?;
    let key = PROVIDER.key_provider.load_private_key(key).map_err(|_| {
        "tls.key cannot be used: the key must be RSA of 2048 to 8192 bits, ECDSA on P-256, P-384 or P-521, or \
         Ed25519"
    })?;
    let key = CertifiedKey::new(chain, key);
    match key.keys_match() {
        Ok(()) => {}
        Err(Error::InconsistentKeys(_)) => {
            return Err("tls.key is not the key of the first certificate in tls.crt".to_owned());
        }
        Err(_) => return Err("the first certificate in tls.crt is malformed".to_owned()),
    }
    Ok(Pair {
        key: Arc::new(key),
        validity,
        hosts,
    })
}

fn facts(certificate: &CertificateDer<'_>) -> Result<(Validity, Hosts), String> {
    let malformed = || "the first certificate in tls.crt is malformed".to_owned();
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).map_err(|_| malformed())?;
    let at = |time: x509_parser::time::ASN1Time| {
        Timestamp::from_second(time.timestamp()).map_err(|_| malformed())
    };
    let names = parsed.subject_alternative_name().map_err(|_| malformed())?;
    let names = names.iter().flat_map(|names| &names.value.general_names);
    let names = names.filter_map(|name| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        _ => None,
    });
    let validity = Validity {
        not_before: at(parsed.validity().not_before)?,
        not_after: at(parsed.validity().not_after)?,
    };
    Ok((validity, Hosts::new(names)))
}

/// Common name of whoever signed the first certificate of a PEM chain.
pub fn signed_by(chain: &[u8]) -> Option<String> {
    let certificate = CertificateDer::from_pem_slice(chain).ok()?;
    let (_, parsed) = x509_parser::parse_x509_certificate(&certificate).ok()?;
    let mut names = parsed.issuer().iter_common_name();
    names.next()?.as_str().ok().map(str::to_owned)
}

fn is_encrypted(key: &[u8]) -> bool {
    key.windows(9).any(|word| word == b"ENCRYPTED")
}

/// Reads the pair of a TLS Secret.
pub fn read_certificate(secret: &Secret) -> Result<Pair, CertificateState> {
    let part = |key: &str| {
        let data = secret.data.as_ref()?;
        data.get(key).map(|value| value.0.as_slice())
    };
    pair_of(part("tls.crt"), part("tls.key"))
}

fn pair_of(chain: Option<&[u8]>, key: Option<&[u8]>) -> Result<Pair, CertificateState> {
    let missing = |key: &str| CertificateState::Malformed(format!("{key} is missing"));
    match (chain, key) {
        (None, None) => Err(CertificateState::NoCertificate),
        (None, _) => Err(missing("tls.crt")),
        (_, None) => Err(missing("tls.key")),
        (Some(chain), Some(key)) => read_pair(chain, key).map_err(CertificateState::Malformed),
    }
}

/// Checks a Secret without keeping anything of it.
pub fn inspect_certificate(secret: &Secret) -> CertificateState {
    match read_certificate(secret) {
        Ok(pair) => pair.state(),
        Err(state) => state,
    }
}

/// Name of the Secret in which the operator keeps the last good certificates of a gateway; none where the
/// gateway's own name leaves no room.
pub fn kept_secret(gateway: &str) -> Option<String> {
    let name = format!("{gateway}{KEPT_SUFFIX}");
    (name.len() <= MAX_NAME).then_some(name)
}

/// The last good pairs in such a Secret, by listener; what cannot be read is left out.
pub fn kept_pairs<'a>(data: impl Iterator<Item = (&'a str, &'a [u8])>) -> BTreeMap<String, Pair> {
    let parts: BTreeMap<&str, &[u8]> = data.collect();
    let pairs = parts.iter().filter_map(|(name, chain)| {
        let listener = name.strip_suffix(".crt")?;
        let key = parts.get(format!("{listener}.key").as_str())?;
        Some((listener.to_owned(), read_pair(chain, key).ok()?))
    });
    pairs.collect()
}

/// What that Secret is to hold: for each HTTPS listener its current pair while that is good, else the one that
/// was kept before. `current` are the Secrets of the gateway's namespace by name.
pub fn keep(
    gateway: &Gateway,
    current: &BTreeMap<String, Arc<Data>>,
    before: &Data,
    now: Timestamp,
) -> Data {
    let mut kept = Data::new();
    for listener in &gateway.spec.listeners {
        let names = ["crt", "key"].map(|part| format!("{}.{part}", listener.name));
        let good = secrets_of(gateway, listener)
            .filter_map(|name| current.get(name))
            .find_map(|data| good_pair(data, now));
        let old = || {
            let [chain, key] = &names;
            Some([before.get(chain)?.clone(), before.get(key)?.clone()])
        };
        if listener.protocol == "HTTPS"
            && names.iter().all(|name| name.len() <= MAX_NAME)
            && let Some(pair) = good.or_else(old)
        {
            kept.extend(names.into_iter().zip(pair));
        }
    }
    kept
}

fn good_pair(data: &Data, now: Timestamp) -> Option<[Vec<u8>; 2]> {
    let (chain, key) = (data.get("tls.crt")?, data.get("tls.key")?);
    let pair = read_pair(chain, key).ok()?;
    pair.validity
        .holds(now)
        .then(|| [chain.clone(), key.clone()])
}

/// The Secrets of the gateway's own namespace that a listener names.
fn secrets_of<'a>(gateway: &'a Gateway, listener: &'a Listener) -> impl Iterator<Item = &'a str> {
    let home = gateway.metadata.namespace.as_deref();
    let refs = listener
        .tls
        .iter()
        .flat_map(|tls| tls.certificate_refs.iter().flatten());
    refs.filter(|reference| reference.is_secret())
        .filter(move |reference| {
            reference.namespace.is_none() || reference.namespace.as_deref() == home
        })
        .map(|reference| reference.name.as_str())
}

//! Secret material: what the shop has is kept for good; what it lacks is taken from fresh randomness.

use super::Data;

/// New random material, one set for each look; most of it is thrown away unused.
#[derive(Clone, Default)]
pub struct Fresh {
    /// Password of the first administrator.
    pub admin_password: String,
    /// Token of calls between the shop's own services.
    pub internal_token: String,
    /// Password of the database server's administrator.
    pub postgres_password: String,
    /// Password of the shop on its event bus.
    pub nats_password: String,
    /// Password of the bus's servers among themselves.
    pub nats_routes_password: String,
    /// Password of the cache.
    pub redis_password: String,
    /// A key to sign tokens with.
    pub signing_key: SigningKey,
}

/// An Ed25519 private key.
#[derive(Clone, Default)]
pub struct SigningKey {
    /// Its id in the JWKS.
    pub kid: String,
    /// PKCS#8, PEM.
    pub pem: String,
}

impl std::fmt::Debug for Fresh {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fresh(..)")
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({})", self.kid)
    }
}

/// The value under `key`, or `fresh` where there is none.
pub(super) fn kept(own: Option<&Data>, key: &str, fresh: &str) -> String {
    own.and_then(|data| data.get(key))
        .and_then(|value| std::str::from_utf8(value).ok())
        .filter(|value| !value.is_empty())
        .unwrap_or(fresh)
        .to_owned()
}

/// The shop's signing keys: all that are there while `active` names one of them, else one fresh key
/// beside them (so that tokens signed with the old ones stay good).
pub(super) fn signing_keys(own: Option<&Data>, fresh: &SigningKey) -> Data {
    let mut data = own.cloned().unwrap_or_default();
    let active = kept(own, "active", "");
    if active.is_empty() || !data.contains_key(&format!("{}.pem", active.trim())) {
        data.insert("active".into(), fresh.kid.clone().into_bytes());
        data.insert(format!("{}.pem", fresh.kid), fresh.pem.clone().into_bytes());
    }
    data
}

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

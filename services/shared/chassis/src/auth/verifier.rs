//! Checks a bearer token: EdDSA only, our issuer, our audience, in its time.

use std::sync::Arc;

use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::keys::{Keys, Lookup, Remote};
use crate::config::TokenConfig;
use crate::http::{Client, Problem};

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Who issued it.
    pub iss: String,
    /// For whom: the shop.
    pub aud: String,
    /// Who is asking.
    pub sub: Uuid,
    /// Not after, in seconds since 1970.
    pub exp: u64,
    /// Issued, in seconds since 1970.
    pub iat: u64,
    /// Not before, in seconds since 1970.
    pub nbf: u64,
    /// Id of the token.
    pub jti: String,
    /// What the caller may be.
    #[serde(default)]
    pub roles: Vec<String>,
}

/// Why a token was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unverified {
    /// Forged, expired, foreign or malformed.
    #[error("the token is not valid")]
    Invalid,
    /// The issuer's keys are not to be had.
    #[error("the keys of the issuer are not available")]
    KeysUnavailable,
}

impl From<Unverified> for Problem {
    fn from(unverified: Unverified) -> Self {
        match unverified {
            Unverified::Invalid => Self::unauthenticated(),
            Unverified::KeysUnavailable => Self::unavailable(1),
        }
    }
}

/// Clocks in one cluster differ by less than this.
const LEEWAY_SECS: u64 = 10;
/// Tokens of ours are far shorter.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// Checks tokens of one issuer.
pub struct Verifier {
    keys: Keys,
    validation: Validation,
}

impl Verifier {
    /// A verifier that fetches the issuer's keys when it first needs them.
    pub fn new(config: &TokenConfig, client: Client) -> Arc<Self> {
        let keys = Keys::Remote(Remote::new(client, config.jwks_url.clone()));
        Self::with(keys, &config.token_issuer, &config.token_audience)
    }

    /// A verifier with known keys, by kid: for the issuer itself and for tests.
    pub fn from_keys(
        issuer: &str,
        audience: &str,
        keys: impl IntoIterator<Item = (String, DecodingKey)>,
    ) -> Arc<Self> {
        Self::with(Keys::Fixed(keys.into_iter().collect()), issuer, audience)
    }

    fn with(keys: Keys, issuer: &str, audience: &str) -> Arc<Self> {
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[issuer]);
        validation.set_audience(&[audience]);
        validation.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
        validation.validate_nbf = true;
        validation.leeway = LEEWAY_SECS;
        Arc::new(Self { keys, validation })
    }

    /// What the token says, if it can be believed.
    pub async fn verify(&self, token: &str) -> Result<Claims, Unverified> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Unverified::Invalid);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| Unverified::Invalid)?;
        let kid = acceptable(&header).ok_or(Unverified::Invalid)?;
        let key = match self.keys.find(kid).await {
            Lookup::Found(key) => key,
            Lookup::Unknown => return Err(Unverified::Invalid),
            Lookup::Unavailable => return Err(Unverified::KeysUnavailable),
        };
        jsonwebtoken::decode::<Claims>(token, &key, &self.validation)
            .map(|token| token.claims)
            .map_err(|_| Unverified::Invalid)
    }
}

/// The kid of a header that we would have written: EdDSA, `at+jwt`, no extensions. Keys named in
/// the header itself (jku, jwk, x5u) are never looked at.
fn acceptable(header: &Header) -> Option<&str> {
    let typ = header.typ.as_deref()?;
    let typ = typ.strip_prefix("application/").unwrap_or(typ);
    let legal = header.alg == Algorithm::EdDSA
        && typ.eq_ignore_ascii_case("at+jwt")
        && header.crit.is_none();
    header.kid.as_deref().filter(|_| legal)
}

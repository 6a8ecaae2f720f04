//! From a token to its claims.

use serde::de::DeserializeOwned;

use crate::claims::Claims;
use crate::key_cache::{KeyCache, Lookup};
use crate::rules::{TokenError, TokenRules};

/// A token that was accepted.
#[derive(Debug)]
pub struct Verified<C> {
    /// Its claims.
    pub claims: C,
    /// The version of the key set that its key is from: once [`KeyCache::version`] is another one, a
    /// remembered token has to be verified again.
    pub keys_version: u64,
}

/// Verifies a token by the keys of its issuer, waiting a little for keys that are being fetched.
pub async fn verify<C: DeserializeOwned>(
    token: &str,
    keys: &KeyCache,
    rules: &TokenRules,
) -> Result<Verified<C>, TokenError> {
    let kid = rules.key_id(token)?;
    match keys.find(&kid).await {
        Lookup::Found(key, keys_version) => Ok(Verified {
            claims: rules.decode(token, &key)?,
            keys_version,
        }),
        Lookup::Unknown => Err(TokenError::UnknownKey),
        Lookup::Unavailable => Err(TokenError::KeysUnavailable),
    }
}

/// Verifies the tokens of one issuer that writes [`Claims`].
#[derive(Debug)]
pub struct Verifier {
    keys: KeyCache,
    rules: TokenRules,
}

impl Verifier {
    /// A verifier with the keys and rules of an issuer.
    pub fn new(keys: KeyCache, rules: TokenRules) -> Self {
        Self { keys, rules }
    }

    /// The claims of a token.
    pub async fn verify(&self, token: &str) -> Result<Claims, TokenError> {
        let verified = verify(token, &self.keys, &self.rules).await?;
        Ok(verified.claims)
    }
}

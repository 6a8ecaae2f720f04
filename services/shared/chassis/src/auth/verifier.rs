//! The verifier of a service: which issuer it trusts, and how it reads the issuer's keys.

use std::sync::Arc;

use tokens::{Algorithm, BoxError, Fetch, KeyCache, TokenError, TokenRules, Verifier};

use crate::config::TokenConfig;
use crate::http::{Client, Problem};

/// Verifies the shop's own tokens: EdDSA, one issuer, one audience. Begins to fetch the keys at once, on a
/// task of the current runtime.
pub fn verifier(config: &TokenConfig, client: Client) -> Arc<Verifier> {
    let TokenConfig {
        token_issuer,
        token_audience,
        jwks_url,
    } = config;
    let audiences = std::slice::from_ref(token_audience);
    let rules = TokenRules::new(token_issuer, audiences, &[Algorithm::EdDSA]).require_not_before();
    Arc::new(Verifier::new(KeyCache::start(jwks_url, client), rules))
}

impl Fetch for Client {
    async fn get(&self, url: &str, max_bytes: usize) -> Result<Vec<u8>, BoxError> {
        Ok(self.read(url, max_bytes).await?)
    }
}

impl From<TokenError> for Problem {
    fn from(error: TokenError) -> Self {
        tracing::debug!(error = traces::chain(&error), "token refused");
        match error {
            TokenError::KeysUnavailable => Self::unavailable(1),
            _ => Self::unauthenticated(),
        }
    }
}

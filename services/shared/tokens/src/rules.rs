//! What the tokens of an issuer must say.

use jsonwebtoken::{Algorithm, Header, Validation};
use serde::de::DeserializeOwned;

use crate::key_set::VerificationKey;

/// Clocks in one cluster differ by less than this.
pub const LEEWAY_SECS: u64 = 10;
/// Access tokens are far shorter.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// Why a token is refused.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// It is longer than any token of ours.
    #[error("the token is longer than {MAX_TOKEN_BYTES} bytes")]
    TooLong,
    /// It is not a JWT.
    #[error("malformed token")]
    Malformed(#[source] jsonwebtoken::errors::Error),
    /// It is a JWT, but not an access token as an issuer here signs them.
    #[error("unsupported token header: {0}")]
    UnsupportedHeader(&'static str),
    /// The issuer publishes no key with its `kid`.
    #[error("unknown signing key")]
    UnknownKey,
    /// Signature, issuer, audience or lifetime do not hold.
    #[error("invalid token")]
    Invalid(#[source] jsonwebtoken::errors::Error),
    /// The issuer's keys could not be fetched yet, so nothing can be verified.
    #[error("the signing keys of the issuer are not available")]
    KeysUnavailable,
}

/// Issuer, audiences and allowed algorithms.
#[derive(Clone, Debug)]
pub struct TokenRules {
    /// One for each allowed algorithm, since a validation lets every algorithm pass that it names.
    validations: Vec<(Algorithm, Validation)>,
}

impl TokenRules {
    /// Tokens of `issuer` for one of `audiences` (none: for anybody), signed with one of `algorithms`.
    pub fn new(issuer: &str, audiences: &[String], algorithms: &[Algorithm]) -> Self {
        let validation = |algorithm: &Algorithm| {
            let mut validation = Validation::new(*algorithm);
            validation.leeway = LEEWAY_SECS;
            validation.validate_nbf = true;
            validation.set_issuer(&[issuer]);
            validation.set_required_spec_claims(&["exp", "iss", "sub"]);
            if audiences.is_empty() {
                validation.validate_aud = false;
            } else {
                validation.set_audience(audiences);
                validation.required_spec_claims.insert("aud".to_owned());
            }
            (*algorithm, validation)
        };
        Self {
            validations: algorithms.iter().map(validation).collect(),
        }
    }

    /// Refuses tokens without `nbf`, which RFC 9068 leaves optional.
    #[must_use]
    pub fn require_not_before(mut self) -> Self {
        for (_, validation) in &mut self.validations {
            validation.required_spec_claims.insert("nbf".to_owned());
        }
        self
    }

    /// The `kid` of a token whose header is acceptable. Nothing of it is verified yet.
    pub(crate) fn key_id(&self, token: &str) -> Result<String, TokenError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::TooLong);
        }
        let header = jsonwebtoken::decode_header(token).map_err(TokenError::Malformed)?;
        self.check_header(&header)?;
        header.kid.ok_or(TokenError::UnsupportedHeader("no kid"))
    }

    fn check_header(&self, header: &Header) -> Result<(), TokenError> {
        let typ = header.typ.as_deref().unwrap_or_default();
        let typ = typ.strip_prefix("application/").unwrap_or(typ);
        if !typ.eq_ignore_ascii_case("at+jwt") {
            return Err(TokenError::UnsupportedHeader("typ is not at+jwt"));
        }
        if header.crit.is_some() {
            return Err(TokenError::UnsupportedHeader("crit is not supported"));
        }
        if self.validation(header.alg).is_none() {
            return Err(TokenError::UnsupportedHeader("alg is not allowed"));
        }
        Ok(())
    }

    /// Verifies the signature by `key` and what the claims say.
    pub(crate) fn decode<C: DeserializeOwned>(
        &self,
        token: &str,
        key: &VerificationKey,
    ) -> Result<C, TokenError> {
        // By the algorithm of the key, whatever the token asks for.
        let validation = self
            .validation(key.algorithm)
            .ok_or(TokenError::UnsupportedHeader("alg is not allowed"))?;
        jsonwebtoken::decode(token, &key.key, validation)
            .map(|token| token.claims)
            .map_err(TokenError::Invalid)
    }

    fn validation(&self, algorithm: Algorithm) -> Option<&Validation> {
        self.validations
            .iter()
            .find(|(allowed, _)| *allowed == algorithm)
            .map(|(_, validation)| validation)
    }
}

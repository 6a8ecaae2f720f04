//! The claims of the shop's own access tokens.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The claims that the auth service writes into an access token (RFC 9068).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Issuer: the address of the shop.
    pub iss: String,
    /// Audience: the name of the shop.
    pub aud: String,
    /// Subject: the account that the token was issued to.
    pub sub: Uuid,
    /// Expiry, in seconds since 1970.
    pub exp: u64,
    /// Issued at, in seconds since 1970.
    pub iat: u64,
    /// Not before, in seconds since 1970.
    pub nbf: u64,
    /// Id of the token.
    pub jti: String,
    /// Roles of the account when the token was issued.
    #[serde(default)]
    pub roles: Vec<String>,
}

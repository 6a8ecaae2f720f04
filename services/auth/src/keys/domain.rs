//! Signing keys, and the claims of an access token.

use std::collections::BTreeMap;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;
use utoipa::ToSchema;

use crate::accounts::domain::account::Principal;

/// Life of an access token.
pub const ACCESS_TOKEN_SECS: i64 = 3600;

/// An unusable set of keys.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// This key is not an Ed25519 private key in PKCS#8 PEM.
    #[error("signing key {0} is not an Ed25519 private key in PKCS#8 PEM")]
    NotEd25519(String),
    /// `active` names a key that does not exist.
    #[error("the active signing key {0} is not among the keys")]
    NoActive(String),
}

/// A token that could not be signed.
#[derive(Debug, thiserror::Error)]
#[error("failed to sign an access token")]
pub struct SignError(#[from] jsonwebtoken::errors::Error);

/// One public key, RFC 8037.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Jwk {
    /// Key type.
    #[schema(example = "OKP")]
    kty: &'static str,
    /// Curve.
    #[schema(example = "Ed25519")]
    crv: &'static str,
    /// Algorithm.
    #[schema(example = "EdDSA")]
    alg: &'static str,
    /// Signatures only.
    #[serde(rename = "use")]
    #[schema(example = "sig")]
    usage: &'static str,
    /// Key id.
    kid: String,
    /// The key, base64url.
    x: String,
}

/// The public halves of all keys, RFC 7517.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct JwkSet {
    /// The keys.
    pub keys: Vec<Jwk>,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: String,
    exp: i64,
    iat: i64,
    nbf: i64,
    jti: String,
    roles: &'a [String],
}

/// The keys: one signs; all are published, so that tokens of the previous key stay valid.
pub struct Keyring {
    active: EncodingKey,
    header: Header,
    public: JwkSet,
}

impl Keyring {
    /// Reads PEM texts by key id.
    pub fn new(active: &str, pems: &BTreeMap<String, String>) -> Result<Self, KeyError> {
        let mut signer = None;
        let mut keys = Vec::with_capacity(pems.len());
        for (kid, pem) in pems {
            let refused = || KeyError::NotEd25519(kid.clone());
            let key = EncodingKey::from_ed_pem(pem.as_bytes()).map_err(|_| refused())?;
            let pair = Ed25519KeyPair::from_pkcs8(key.as_bytes()).map_err(|_| refused())?;
            keys.push(Jwk {
                kty: "OKP",
                crv: "Ed25519",
                alg: "EdDSA",
                usage: "sig",
                kid: kid.clone(),
                x: URL_SAFE_NO_PAD.encode(pair.public_key().as_ref()),
            });
            if kid == active {
                signer = Some(key);
            }
        }
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some("at+jwt".to_owned());
        header.kid = Some(active.to_owned());
        Ok(Self {
            active: signer.ok_or_else(|| KeyError::NoActive(active.to_owned()))?,
            header,
            public: JwkSet { keys },
        })
    }

    /// The keys that verify tokens.
    pub fn public(&self) -> &JwkSet {
        &self.public
    }

    /// Signs an access token.
    pub fn sign(
        &self,
        issuer: &str,
        audience: &str,
        principal: &Principal,
        now: DateTime<Utc>,
    ) -> Result<String, SignError> {
        let iat = now.timestamp();
        let claims = Claims {
            iss: issuer,
            aud: audience,
            sub: principal.user_id.as_uuid().to_string(),
            exp: iat + ACCESS_TOKEN_SECS,
            iat,
            nbf: iat,
            jti: token_id(),
            roles: &principal.roles,
        };
        Ok(jsonwebtoken::encode(&self.header, &claims, &self.active)?)
    }
}

fn token_id() -> String {
    let mut bytes = [0; 16];
    // With ids that repeat, one token could not be told from another: there is no safe way to continue.
    aws_lc_rs::rand::fill(&mut bytes).expect("the operating system has randomness");
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;
    use vocabulary::UserId;

    use super::*;

    fn pem() -> String {
        let der = Ed25519KeyPair::generate().unwrap().to_pkcs8v1().unwrap();
        let body = STANDARD.encode(der.as_ref());
        format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n")
    }

    fn two_keys() -> BTreeMap<String, String> {
        [("k1".to_owned(), pem()), ("k2".to_owned(), pem())].into()
    }

    fn part(token: &str, index: usize) -> serde_json::Value {
        let part = token.split('.').nth(index).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    }

    #[test]
    fn a_token_says_what_the_contract_says_and_no_more() {
        let keyring = Keyring::new("k2", &two_keys()).unwrap();
        let who = Principal {
            user_id: UserId::from_uuid(uuid::Uuid::from_u128(7)),
            roles: vec!["customer".to_owned()],
        };
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let token = keyring.sign("http://shop", "demo", &who, now).unwrap();

        let header = part(&token, 0);
        assert_eq!(
            header,
            serde_json::json!({"alg": "EdDSA", "typ": "at+jwt", "kid": "k2"})
        );
        let mut claims = part(&token, 1);
        let jti = claims["jti"].take();
        assert_eq!(jti.as_str().unwrap().len(), 22);
        assert_eq!(
            claims,
            serde_json::json!({
                "iss": "http://shop", "aud": "demo", "sub": "00000000-0000-0000-0000-000000000007",
                "iat": 1_800_000_000, "nbf": 1_800_000_000, "exp": 1_800_003_600,
                "jti": null, "roles": ["customer"],
            })
        );
    }

    #[test]
    fn both_keys_are_published_and_no_private_part_is() {
        let keyring = Keyring::new("k1", &two_keys()).unwrap();
        let set = serde_json::to_value(keyring.public()).unwrap();
        assert_eq!(set["keys"].as_array().unwrap().len(), 2);
        for key in set["keys"].as_array().unwrap() {
            let names: Vec<_> = key
                .as_object()
                .unwrap()
                .keys()
                .map(String::as_str)
                .collect();
            assert_eq!(names, ["alg", "crv", "kid", "kty", "use", "x"]);
        }
    }

    #[test]
    fn bad_keys_are_named() {
        assert!(
            matches!(Keyring::new("k3", &two_keys()), Err(KeyError::NoActive(kid)) if kid == "k3")
        );
        let bad = [("k1".to_owned(), "not a key".to_owned())].into();
        assert!(matches!(Keyring::new("k1", &bad), Err(KeyError::NotEd25519(kid)) if kid == "k1"));
    }
}

//! JSON Web Key Sets (RFC 7517).

use std::collections::HashMap;
use std::sync::Arc;

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;

/// Keys of one document that are used; more than these are ignored.
const MAX_KEYS: usize = 64;

/// A public key and the one algorithm it is for.
#[derive(Clone, Debug)]
pub struct VerificationKey {
    pub(crate) algorithm: Algorithm,
    pub(crate) key: DecodingKey,
}

/// The keys of an issuer by `kid`, reduced to those that can verify tokens.
#[derive(Clone, Debug, Default)]
pub struct KeySet {
    keys: HashMap<String, Arc<VerificationKey>>,
}

/// The document is not a JSON Web Key Set.
#[derive(Debug, thiserror::Error)]
#[error("malformed key set")]
pub struct MalformedKeySet(#[from] serde_json::Error);

#[derive(Deserialize)]
struct Document {
    /// Read one by one: an issuer may publish keys of unknown kinds.
    keys: Vec<serde_json::Value>,
}

impl KeySet {
    /// Reads a document. Keys of other kinds than Ed25519 and P-256, keys without `kid` and keys for
    /// encryption are skipped: they are there for others.
    pub fn parse(document: &[u8]) -> Result<Self, MalformedKeySet> {
        let Document { keys } = serde_json::from_slice(document)?;
        let keys = keys.into_iter().take(MAX_KEYS).filter_map(usable);
        Ok(Self {
            keys: keys.collect(),
        })
    }

    /// Whether no token can be verified with it.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The key that was published under `kid`.
    pub fn get(&self, kid: &str) -> Option<&Arc<VerificationKey>> {
        self.keys.get(kid)
    }
}

/// The algorithm follows from the type of the key: neither the token nor the document chooses it.
fn usable(value: serde_json::Value) -> Option<(String, Arc<VerificationKey>)> {
    let jwk: Jwk = serde_json::from_value(value).ok()?;
    let algorithm = match &jwk.algorithm {
        AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => {
            Algorithm::EdDSA
        }
        AlgorithmParameters::EllipticCurve(point) if point.curve == EllipticCurve::P256 => {
            Algorithm::ES256
        }
        _ => return None,
    };
    let is_for_signatures = !matches!(
        &jwk.common.public_key_use,
        Some(PublicKeyUse::Encryption | PublicKeyUse::Other(_))
    );
    let key = DecodingKey::from_jwk(&jwk)
        .ok()
        .filter(|_| is_for_signatures)?;
    Some((
        jwk.common.key_id?,
        Arc::new(VerificationKey { algorithm, key }),
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_keys_that_verify_signatures_are_taken() {
        let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        let ed = |kid: &str| json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": x});
        let mut encryption = ed("encryption");
        encryption["use"] = json!("enc");
        let mut nameless = ed("");
        nameless.as_object_mut().unwrap().remove("kid");
        let document = json!({"keys": [
            ed("ed"),
            {"kty": "EC", "crv": "P-256", "kid": "ec", "use": "sig", "x": x, "y": x},
            {"kty": "EC", "crv": "P-384", "kid": "other curve", "x": x, "y": x},
            {"kty": "RSA", "kid": "rsa", "n": "AQAB", "e": "AQAB"},
            {"kty": "oct", "kid": "secret", "k": "c2VjcmV0"},
            {"kty": "from the future", "kid": "future"},
            encryption,
            nameless,
            "not even an object",
        ]});
        let set = KeySet::parse(document.to_string().as_bytes()).unwrap();
        let algorithm = |kid: &str| set.get(kid).map(|key| key.algorithm);
        assert_eq!(algorithm("ed"), Some(Algorithm::EdDSA));
        assert_eq!(algorithm("ec"), Some(Algorithm::ES256));
        assert_eq!(set.keys.len(), 2, "{set:?}");
    }

    #[test]
    fn a_document_that_is_no_key_set_is_an_error_and_a_long_one_is_cut() {
        for text in ["", "[]", "{}", r#"{"keys": 1}"#, "<html>"] {
            assert!(KeySet::parse(text.as_bytes()).is_err(), "{text}");
        }
        let key = |n| json!({"kty": "OKP", "crv": "Ed25519", "kid": format!("{n}"), "x": "AA"});
        let keys: Vec<_> = (0..1_000).map(key).collect();
        let set = KeySet::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap();
        assert_eq!(set.keys.len(), MAX_KEYS);
    }
}

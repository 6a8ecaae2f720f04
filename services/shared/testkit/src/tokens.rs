//! Bearer tokens and a verifier that believes them.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tokens::{Claims, KeyCache, KeySet, TokenRules, Verifier};
use uuid::Uuid;

/// An issuer with a key of its own.
pub struct TestTokens {
    issuer: String,
    audience: String,
    kid: String,
    pkcs8: Vec<u8>,
    public: String,
}

impl Default for TestTokens {
    fn default() -> Self {
        Self::new("http://demo.localhost", "demo")
    }
}

impl TestTokens {
    /// Generates a key.
    pub fn new(issuer: &str, audience: &str) -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&aws_lc_rs::rand::SystemRandom::new());
        let pkcs8 = pkcs8.expect("a key").as_ref().to_vec();
        let pair = Ed25519KeyPair::from_pkcs8(&pkcs8).expect("the key");
        let public = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
        let kid = public.chars().take(12).collect();
        Self {
            issuer: issuer.into(),
            audience: audience.into(),
            kid,
            pkcs8,
            public,
        }
    }

    /// A verifier that knows the key.
    pub fn verifier(&self) -> Arc<Verifier> {
        let keys = KeySet::parse(self.jwks().to_string().as_bytes()).expect("a key set");
        let audiences = std::slice::from_ref(&self.audience);
        let rules = TokenRules::new(&self.issuer, audiences, &[Algorithm::EdDSA]);
        let rules = rules.require_not_before();
        Arc::new(Verifier::new(KeyCache::fixed(keys), rules))
    }

    /// A token for a caller with roles, good for an hour.
    pub fn mint(&self, user: Uuid, roles: &[&str]) -> String {
        self.mint_with(user, roles, |_| {})
    }

    /// A token of a customer.
    pub fn customer(&self, user: impl Into<Uuid>) -> String {
        self.mint(user.into(), &["customer"])
    }

    /// A token of an administrator.
    pub fn admin(&self, user: impl Into<Uuid>) -> String {
        self.mint(user.into(), &["admin"])
    }

    /// A token with claims bent by the test.
    pub fn mint_with(&self, user: Uuid, roles: &[&str], bend: impl FnOnce(&mut Claims)) -> String {
        let now = now_secs();
        let mut claims = Claims {
            iss: self.issuer.clone(),
            aud: self.audience.clone(),
            sub: user,
            exp: now + 3600,
            iat: now,
            nbf: now,
            jti: format!("{user}-{now}"),
            roles: roles.iter().map(|&role| role.to_owned()).collect(),
        };
        bend(&mut claims);
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some("at+jwt".to_owned());
        header.kid = Some(self.kid.clone());
        jsonwebtoken::encode(&header, &claims, &self.signing_key()).expect("a token")
    }

    /// The key that signs.
    pub fn signing_key(&self) -> EncodingKey {
        EncodingKey::from_ed_der(&self.pkcs8)
    }

    /// The key that signs, as PKCS#8 PEM: what a signing-keys binding holds.
    pub fn signing_key_pem(&self) -> String {
        let body = STANDARD.encode(&self.pkcs8);
        format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n")
    }

    /// The id of the key.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The key set that the issuer publishes.
    pub fn jwks(&self) -> Value {
        json!({"keys": [{
            "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig",
            "kid": self.kid, "x": self.public,
        }]})
    }
}

#[expect(clippy::disallowed_methods, reason = "verifiers read the real clock")]
fn now_secs() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or(Duration::ZERO)
        .as_secs()
}

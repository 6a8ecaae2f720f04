//! An issuer without a network: keys that sign, and a document that tests change.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};
use tokens::{Algorithm, BoxError, Fetch};

pub const ISSUER: &str = "https://shop.example";
pub const AUDIENCE: &str = "demo";

pub struct Key {
    kid: &'static str,
    pkcs8: Vec<u8>,
    public: String,
}

impl Key {
    pub fn new(kid: &'static str) -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("a key");
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).expect("the key");
        Self {
            kid,
            pkcs8: pkcs8.as_ref().to_vec(),
            public: URL_SAFE_NO_PAD.encode(pair.public_key().as_ref()),
        }
    }

    pub fn jwk(&self) -> Value {
        json!({"kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": self.kid, "x": self.public})
    }

    pub fn header(&self) -> Header {
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some("at+jwt".to_owned());
        header.kid = Some(self.kid.to_owned());
        header
    }

    pub fn sign(&self, header: &Header, claims: &Value) -> String {
        let key = EncodingKey::from_ed_der(&self.pkcs8);
        jsonwebtoken::encode(header, claims, &key).expect("a token")
    }

    pub fn token(&self, claims: &Value) -> String {
        self.sign(&self.header(), claims)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "verification reads the real clock"
)]
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("after 1970").as_secs()
}

pub fn claims() -> Value {
    json!({"iss": ISSUER, "aud": AUDIENCE, "sub": "00000000-0000-0000-0000-000000000007",
        "exp": now() + 3600, "iat": now(), "nbf": now(), "jti": "1", "roles": ["customer"]})
}

pub fn document(keys: &[&Key]) -> String {
    json!({"keys": keys.iter().map(|key| key.jwk()).collect::<Vec<_>>()}).to_string()
}

/// What the issuer answers, and how often it was asked. Clones are the same issuer.
#[derive(Clone, Default)]
pub struct Issuer {
    document: Arc<Mutex<Option<String>>>,
    pub fetches: Arc<AtomicUsize>,
    pub failed: Arc<AtomicUsize>,
    latency: Duration,
}

impl Issuer {
    pub fn serving(keys: &[&Key]) -> Self {
        let issuer = Self::default();
        issuer.serve(keys);
        issuer
    }

    pub fn serve(&self, keys: &[&Key]) {
        *self.document.lock().expect("no panic") = Some(document(keys));
    }

    pub fn stop(&self) {
        *self.document.lock().expect("no panic") = None;
    }

    pub fn slow(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    pub fn fetches(&self) -> usize {
        self.fetches.load(Ordering::Relaxed)
    }
}

impl Fetch for Issuer {
    async fn get(&self, url: &str, max_bytes: usize) -> Result<Vec<u8>, BoxError> {
        assert_eq!((url, max_bytes), ("http://issuer/keys", 256 * 1024));
        self.fetches.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(self.latency).await;
        let document = self.document.lock().expect("no panic").clone();
        document
            .map(String::into_bytes)
            .ok_or_else(|| "connection refused".into())
    }

    fn completed(&self, succeeded: bool) {
        self.failed
            .fetch_add(usize::from(!succeeded), Ordering::Relaxed);
    }
}

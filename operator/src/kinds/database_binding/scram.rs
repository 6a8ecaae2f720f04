//! Passwords: made once at random, shown to the server only as a SCRAM-SHA-256 verifier.
//!
//! ## Why the verifier is computed here
//! `ALTER ROLE .. PASSWORD 'secret'` can end in the server's log (`log_statement`, a slow-query log,
//! an error's context). A verifier (RFC 5803) in its place gives nothing away, and a verifier read
//! back tells whether the server still holds our password, without logging in.
//!
//! ## Why not crate postgres-protocol
//! It makes a verifier, but compares none: the function that takes salt and iterations is private. And it
//! brings a second set of cryptographic crates beside aws-lc, for the twelve lines below.

use std::num::NonZeroU32;
use std::sync::Arc;

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use aws_lc_rs::{constant_time, digest, hmac, pbkdf2};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

/// PostgreSQL's own default; the passwords have 192 random bits, so stretching adds nothing.
const ITERATIONS: NonZeroU32 = NonZeroU32::new(4096).expect("not zero");
/// Bytes of salt, as PostgreSQL takes.
const SALT: usize = 16;
/// Random bytes in a password; 32 characters that need no escaping in a URI.
const ENTROPY: usize = 24;

/// A password. Neither `Debug` nor `Display`: [`Password::reveal`] is the only way to see it.
#[derive(Clone)]
pub struct Password(Arc<str>);

/// The system has no randomness to give.
#[derive(Debug, thiserror::Error)]
#[error("the system's random generator failed")]
pub struct NoEntropy;

impl Password {
    /// Takes a password that somebody else made.
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// Makes a new one.
    pub fn random() -> Result<Self, NoEntropy> {
        let mut bytes = [0; ENTROPY];
        SystemRandom::new()
            .fill(&mut bytes)
            .map_err(|_| NoEntropy)?;
        Ok(Self(URL_SAFE_NO_PAD.encode(bytes).into()))
    }

    /// The text itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// A fresh verifier, as `ALTER ROLE .. PASSWORD` takes it.
    pub fn verifier(&self) -> Result<String, NoEntropy> {
        let mut salt = [0; SALT];
        SystemRandom::new().fill(&mut salt).map_err(|_| NoEntropy)?;
        Ok(verifier(&self.0, &salt, ITERATIONS))
    }

    /// Whether a verifier that the server holds belongs to this password.
    pub fn matches(&self, held: &str) -> bool {
        parse(held).is_some_and(|(salt, iterations)| {
            let expected = verifier(&self.0, &salt, iterations);
            constant_time::verify_slices_are_equal(expected.as_bytes(), held.as_bytes()).is_ok()
        })
    }
}

/// Salt and iterations of a verifier.
fn parse(held: &str) -> Option<(Vec<u8>, NonZeroU32)> {
    let rest = held.strip_prefix("SCRAM-SHA-256$")?;
    let (iterations, rest) = rest.split_once(':')?;
    let (salt, _) = rest.split_once('$')?;
    // A foreign verifier with an absurd count must not keep us busy.
    let iterations = iterations
        .parse::<u32>()
        .ok()
        .filter(|count| *count <= 100_000)?;
    Some((STANDARD.decode(salt).ok()?, NonZeroU32::new(iterations)?))
}

fn verifier(password: &str, salt: &[u8], iterations: NonZeroU32) -> String {
    let mut salted = [0; digest::SHA256_OUTPUT_LEN];
    pbkdf2::derive(
        pbkdf2::PBKDF2_HMAC_SHA256,
        iterations,
        salt,
        password.as_bytes(),
        &mut salted,
    );
    let key = hmac::Key::new(hmac::HMAC_SHA256, &salted);
    let client = hmac::sign(&key, b"Client Key");
    let stored = digest::digest(&digest::SHA256, client.as_ref());
    let server = hmac::sign(&key, b"Server Key");
    format!(
        "SCRAM-SHA-256${iterations}:{}${}:{}",
        STANDARD.encode(salt),
        STANDARD.encode(stored.as_ref()),
        STANDARD.encode(server.as_ref()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verifier_belongs_to_its_password_only() {
        let password = Password::random().unwrap();
        let held = password.verifier().unwrap();
        assert!(password.matches(&held));
        assert!(!Password::random().unwrap().matches(&held));
        assert!(!password.matches("md5d41d8cd98f00b204e9800998ecf8427e"));
        assert!(!password.matches("SCRAM-SHA-256$4294967295:AAAA$x:y"));
    }

    #[test]
    fn passwords_differ_and_need_no_escaping_in_a_uri() {
        let (one, two) = (Password::random().unwrap(), Password::random().unwrap());
        assert_ne!(one.reveal(), two.reveal());
        assert_eq!(one.reveal().len(), 32);
        assert!(
            one.reveal()
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
        );
    }

    #[test]
    fn a_verifier_that_postgresql_made_is_understood() {
        // PostgreSQL 15, `create role x password 'pencil'`: RFC 7677's example password.
        let held = include_str!("scram_fixture.txt").trim();
        assert!(Password::new("pencil").matches(held));
        assert!(!Password::new("crayon").matches(held));
    }
}

//! New secret material: passwords, tokens, signing keys. The plan decides whether any of it is used:
//! what a shop has is kept.

use aws_lc_rs::digest;
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use operator_plan::storefront::{Fresh, SigningKey};

use crate::error::Error;

/// Random bytes in a password: 32 characters that need no escaping anywhere.
const PASSWORD_BYTES: usize = 24;

/// One set of everything.
pub fn fresh() -> Result<Fresh, Error> {
    Ok(Fresh {
        admin_password: password()?,
        internal_token: password()?,
        postgres_password: password()?,
        nats_password: password()?,
        nats_routes_password: password()?,
        redis_password: password()?,
        signing_key: signing_key()?,
    })
}

/// Tells this process from one before it in the same pod.
pub fn suffix() -> Result<String, Error> {
    let mut bytes = [0; 4];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| Error::NoEntropy)?;
    Ok(format!("{:08x}", u32::from_be_bytes(bytes)))
}

/// A password of 192 random bits.
fn password() -> Result<String, Error> {
    let mut bytes = [0; PASSWORD_BYTES];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| Error::NoEntropy)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// An Ed25519 key as PKCS#8 version 1, which every library reads.
fn signing_key() -> Result<SigningKey, Error> {
    let document =
        Ed25519KeyPair::generate_pkcs8v1(&SystemRandom::new()).map_err(|_| Error::NoEntropy)?;
    let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).map_err(|_| Error::NoEntropy)?;
    let public = digest::digest(&digest::SHA256, pair.public_key().as_ref());
    Ok(SigningKey {
        // Named after the public key, so that the same key never has two names.
        kid: URL_SAFE_NO_PAD.encode(&public.as_ref()[..12]),
        pem: pem("PRIVATE KEY", document.as_ref()),
    })
}

fn pem(kind: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut lines = vec![format!("-----BEGIN {kind}-----")];
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, tail) = rest.split_at(rest.len().min(64));
        lines.push(line.to_owned());
        rest = tail;
    }
    lines.push(format!("-----END {kind}-----\n"));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_sets_have_nothing_in_common() {
        let (one, two) = (fresh().unwrap(), fresh().unwrap());
        assert_ne!(one.admin_password, two.admin_password);
        assert_ne!(one.admin_password, one.postgres_password);
        assert_ne!(one.signing_key.kid, two.signing_key.kid);
        assert_eq!(one.admin_password.len(), 32);
    }

    #[test]
    fn the_pem_holds_the_key() {
        let key = signing_key().unwrap();
        let body: String = key
            .pem
            .lines()
            .filter(|line| !line.starts_with("-----"))
            .collect();
        let der = STANDARD.decode(body).unwrap();
        assert!(Ed25519KeyPair::from_pkcs8(&der).is_ok());
        assert!(key.pem.starts_with("-----BEGIN PRIVATE KEY-----\n"));
        assert!(
            key.kid
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
        );
    }
}

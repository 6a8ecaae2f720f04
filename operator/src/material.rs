//! New secret material: passwords, tokens, signing keys. The plan says what is missing; what a
//! shop has is kept.

use aws_lc_rs::digest;
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use operator_plan::storefront::{Fresh, MissingMaterial, SigningKey};
use pem::{EncodeConfig, LineEnding, Pem};

use crate::error::Error;

/// Random bytes in a password: 32 characters that need no escaping anywhere.
const PASSWORD_BYTES: usize = 24;

/// Generates what a shop does not have yet.
pub fn generate(missing: &MissingMaterial) -> Result<Fresh, Error> {
    let named = |name: &String| Ok((name.clone(), password()?));
    Ok(Fresh {
        passwords: missing
            .passwords
            .iter()
            .map(named)
            .collect::<Result<_, Error>>()?,
        signing_key: missing.signing_key.then(signing_key).transpose()?,
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
    let config = EncodeConfig::new().set_line_ending(LineEnding::LF);
    pem::encode_config(&Pem::new(kind, der), config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_sets_have_nothing_in_common() {
        let missing = MissingMaterial {
            passwords: ["demo-admin", "demo-internal"].map(Into::into).into(),
            signing_key: true,
        };
        let (one, two) = (generate(&missing).unwrap(), generate(&missing).unwrap());
        let [admin, internal] = ["demo-admin", "demo-internal"].map(|name| &one.passwords[name]);
        assert_ne!(admin, internal);
        assert_ne!(*admin, two.passwords["demo-admin"]);
        assert_ne!(one.signing_key.unwrap().kid, two.signing_key.unwrap().kid);
        assert_eq!(admin.len(), 32);
    }

    #[test]
    fn what_is_not_missing_is_not_generated() {
        let fresh = generate(&MissingMaterial::default()).unwrap();
        assert!(fresh.passwords.is_empty() && fresh.signing_key.is_none());
    }

    #[test]
    fn the_pem_holds_the_key() {
        let key = signing_key().unwrap();
        let parsed = pem::parse(&key.pem).unwrap();
        assert!(Ed25519KeyPair::from_pkcs8(parsed.contents()).is_ok());
        assert!(key.pem.starts_with("-----BEGIN PRIVATE KEY-----\n"));
        assert!(
            key.kid
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
        );
    }
}

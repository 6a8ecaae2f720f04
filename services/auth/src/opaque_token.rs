//! Tokens that mean nothing by themselves: whoever has one is let do one thing, and only its digest is stored.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// A token as the client holds it: 256 random bits. No `Debug`.
pub struct OpaqueToken(String);

impl OpaqueToken {
    /// A new token.
    pub fn random() -> Self {
        let mut secret = [0; 32];
        // Without randomness anybody could guess a token: there is no safe way to continue.
        aws_lc_rs::rand::fill(&mut secret).expect("the operating system has randomness");
        Self(URL_SAFE_NO_PAD.encode(secret))
    }

    /// A token that a client sent.
    pub fn presented(text: String) -> Self {
        Self(text)
    }

    /// The text for the client.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The digest that is stored. The token has 256 random bits, so one fast hash is enough.
    pub fn digest(&self) -> [u8; 32] {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, self.0.as_bytes());
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest.as_ref());
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_have_256_bits_and_are_unique() {
        let (one, other) = (OpaqueToken::random(), OpaqueToken::random());
        assert_eq!(one.as_str().len(), 43);
        assert_ne!(one.as_str(), other.as_str());
        assert_eq!(
            one.digest(),
            OpaqueToken::presented(one.as_str().to_owned()).digest()
        );
    }
}

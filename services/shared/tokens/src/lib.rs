#![doc = include_str!("../README.md")]

mod bearer;
mod claims;
mod key_cache;
mod key_set;
mod rules;
mod verifier;

pub use bearer::{MalformedCredential, bearer};
pub use claims::Claims;
pub use jsonwebtoken::Algorithm;
pub use key_cache::{BoxError, Fetch, KeyCache, Lookup};
pub use key_set::{KeySet, MalformedKeySet, VerificationKey};
pub use rules::{LEEWAY_SECS, TokenError, TokenRules};
pub use verifier::{Verified, Verifier, verify};

//! Credentials that follow from one secret, so that a server and its clients agree without exchanging any.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// A user of a server and the password.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) password: String,
}

impl Login {
    /// The login of a workload at a server, from the server's secret. Another secret makes another user, so
    /// that a server can know both while its clients change over.
    pub(crate) fn of(secret: &str, server: &str, workload: &str) -> Self {
        let tag = derive(secret, &["tag", server]);
        let tag: String = tag.chars().filter(char::is_ascii_alphanumeric).collect();
        Self {
            user: format!("{workload}.{}", tag.get(..8).unwrap_or_default()),
            password: derive(secret, &["password", server, workload]),
        }
    }
}

/// 192 bits that only whoever has the secret can compute, as 32 characters that need no escaping anywhere.
pub(crate) fn derive(secret: &str, parts: &[&str]) -> String {
    // A key of any length is accepted: the error cannot occur, and an empty text fits no server.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        return String::new();
    };
    for part in parts {
        mac.update(&part.len().to_le_bytes());
        mac.update(part.as_bytes());
    }
    URL_SAFE_NO_PAD.encode(&mac.finalize().into_bytes()[..24])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_workload_server_and_secret_has_another_login() {
        let base = Login::of("secret", "bus", "demo-auth");
        for other in [
            Login::of("secret", "bus", "demo-user"),
            Login::of("secret", "cache", "demo-auth"),
            Login::of("another", "bus", "demo-auth"),
        ] {
            assert_ne!(base.password, other.password);
            assert_ne!(base.user, other.user);
        }
        assert!(base == Login::of("secret", "bus", "demo-auth"));
        assert_eq!(base.password.len(), 32);
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(
            derive("secret", &["ab", "c"]),
            derive("secret", &["a", "bc"])
        );
    }
}

//! Password hashing: Argon2id, as a PHC string that carries its parameters.

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};

use super::account::Password;

/// Memory in KiB, passes and lanes: OWASP's minimum.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// Checked while compiling.
const PARAMS: Params = match Params::new(MEMORY_KIB, PASSES, LANES, None) {
    Ok(params) => params,
    Err(_) => panic!("Argon2 takes other parameters"),
};

/// A password that could not be hashed or compared.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// Hashing failed: no randomness, no memory.
    #[error("failed to hash the password: {0}")]
    Hash(argon2::password_hash::Error),
    /// A random password could not be made.
    #[error("the operating system gives no random bytes")]
    Randomness,
    /// The stored hash is not a PHC string.
    #[error("malformed stored password hash")]
    Stored,
}

fn argon2() -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, PARAMS)
}

/// Hashes with a random salt. Costs 20 ms and 19 MiB: never on the event loop.
pub fn hash(password: &Password) -> Result<String, PasswordError> {
    hash_bytes(password.as_bytes())
}

fn hash_bytes(password: &[u8]) -> Result<String, PasswordError> {
    let phc: PasswordHash = argon2()
        .hash_password(password)
        .map_err(PasswordError::Hash)?;
    Ok(phc.to_string())
}

/// True if the password matches the hash; costs as much as [`hash`].
pub fn verify(password: &Password, phc: &str) -> Result<bool, PasswordError> {
    let stored = PasswordHash::new(phc).map_err(|_| PasswordError::Stored)?;
    Ok(argon2()
        .verify_password(password.as_bytes(), &stored)
        .is_ok())
}

/// True if the hash has other parameters than a new one.
pub fn is_outdated(phc: &str) -> bool {
    let Ok(stored) = PasswordHash::new(phc) else {
        return true;
    };
    let current = Params::try_from(&stored).is_ok_and(|params| {
        (params.m_cost(), params.t_cost(), params.p_cost()) == (MEMORY_KIB, PASSES, LANES)
    });
    stored.algorithm != argon2::ARGON2ID_IDENT || !current
}

/// A hash of a random password that is not kept, for logins with an unknown address to be compared with: they take as
/// long as those with a known one then.
pub fn dummy() -> Result<String, PasswordError> {
    let mut secret = [0; 32];
    aws_lc_rs::rand::fill(&mut secret).map_err(|_| PasswordError::Randomness)?;
    hash_bytes(&secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_names_its_parameters_and_fits_its_password_only() {
        let phc = hash(&Password::attempt("correct horse battery")).unwrap();
        assert!(phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{phc}");
        assert!(verify(&Password::attempt("correct horse battery"), &phc).unwrap());
        assert!(!verify(&Password::attempt("correct horse batterY"), &phc).unwrap());
        assert!(!is_outdated(&phc));
    }

    #[test]
    fn the_same_password_never_hashes_alike() {
        let password = Password::attempt("correct horse battery");
        assert_ne!(hash(&password).unwrap(), hash(&password).unwrap());
    }

    #[test]
    fn a_weaker_hash_still_verifies_and_is_outdated() {
        let weak = Argon2::new(
            Algorithm::Argon2id,
            Version::V0x13,
            Params::new(8, 1, 1, None).unwrap(),
        );
        let phc: PasswordHash = weak.hash_password(b"correct horse battery").unwrap();
        let phc = phc.to_string();
        assert!(verify(&Password::attempt("correct horse battery"), &phc).unwrap());
        assert!(is_outdated(&phc));
    }

    #[test]
    fn nothing_matches_the_dummy() {
        let dummy = dummy().unwrap();
        assert!(!verify(&Password::attempt(""), &dummy).unwrap());
        assert!(!is_outdated(&dummy), "it must cost what a real one costs");
    }
}

//! Reads the binding `signing-keys`: `active` names the key that signs; each `<kid>.pem` is a key.

use std::collections::BTreeMap;

use chassis::{Binding, BindingError};

use super::domain::{KeyError, Keyring};

/// A binding without usable keys.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// An entry is missing.
    #[error(transparent)]
    Binding(#[from] BindingError),
    /// A key is invalid.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// Reads the keys of the binding.
pub fn read_keyring(binding: &Binding) -> Result<Keyring, KeysError> {
    let active = binding.require("active")?.trim();
    let pem = |name: &str| {
        let kid = name.strip_suffix(".pem")?;
        Some((kid.to_owned(), binding.get(name)?.to_owned()))
    };
    let pems: BTreeMap<_, _> = binding.names().filter_map(pem).collect();
    Ok(Keyring::new(active, &pems)?)
}

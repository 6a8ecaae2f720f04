//! Reads the binding `signing-keys`: `active` names the key that signs, `<kid>.pem` are all of them.

use std::collections::BTreeMap;

use chassis::{Binding, BindingError};

use crate::domain::signing::{KeyError, Keyring};

/// Why there is nothing to sign with.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The binding lacks an entry.
    #[error(transparent)]
    Binding(#[from] BindingError),
    /// A key is not one.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// The keys of the binding.
pub fn read_keyring(binding: &Binding) -> Result<Keyring, KeysError> {
    let active = binding.require("active")?.trim();
    let pem = |name: &str| {
        let kid = name.strip_suffix(".pem")?;
        Some((kid.to_owned(), binding.get(name)?.to_owned()))
    };
    let pems: BTreeMap<_, _> = binding.names().filter_map(pem).collect();
    Ok(Keyring::new(active, &pems)?)
}

//! Bindings in the layout of servicebinding.io: one folder each, one file per entry.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// A value that must not be logged: `Debug` hides it, and there is no `Display`.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value, named so that each use is easy to find.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A binding that is missing or incomplete.
#[derive(Debug, thiserror::Error)]
pub enum BindingError {
    /// The folder or a file of it could not be read.
    #[error("failed to read binding {}", .0.display())]
    Read(PathBuf, #[source] std::io::Error),
    /// A required entry is missing.
    #[error("binding {binding} has no entry {entry}")]
    Missing {
        /// Name of the binding.
        binding: String,
        /// Name of the entry.
        entry: &'static str,
    },
}

/// The entries of one binding. Its `Debug` shows names, never values.
#[derive(Clone)]
pub struct Binding {
    name: String,
    entries: BTreeMap<String, Secret>,
}

/// Larger files are not entries of ours.
const MAX_ENTRY_BYTES: u64 = 64 * 1024;

/// Reads the binding `name` below `root`.
pub fn binding(root: &Path, name: &str) -> Result<Binding, BindingError> {
    let folder = root.join(name);
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source| BindingError::Read(path, source)
    };
    let mut entries = BTreeMap::new();
    for entry in std::fs::read_dir(&folder).map_err(at(&folder))? {
        let path = entry.map_err(at(&folder))?.path();
        // Kubernetes mounts `..data` and timestamped folders beside the files.
        let Some(key) = path.file_name().and_then(|key| key.to_str()) else {
            continue;
        };
        let meta = std::fs::metadata(&path).map_err(at(&path))?;
        if key.starts_with('.') || !meta.is_file() || meta.len() > MAX_ENTRY_BYTES {
            continue;
        }
        let text = std::fs::read_to_string(&path).map_err(at(&path))?;
        // Editors and `kubectl create secret --from-file` leave a newline at the end.
        let text = text.strip_suffix('\n').unwrap_or(&text);
        entries.insert(key.to_owned(), Secret::new(text));
    }
    Ok(Binding {
        name: name.to_owned(),
        entries,
    })
}

impl Binding {
    /// A binding from pairs, for tests and tools.
    pub fn from_entries<K, V>(name: &str, entries: impl IntoIterator<Item = (K, V)>) -> Self
    where
        K: Into<String>,
        V: Into<String>,
    {
        let entries = entries
            .into_iter()
            .map(|(k, v)| (k.into(), Secret::new(v)))
            .collect();
        Self {
            name: name.to_owned(),
            entries,
        }
    }

    /// An optional entry.
    pub fn get(&self, entry: &str) -> Option<&str> {
        self.entries.get(entry).map(Secret::expose)
    }

    /// A required entry.
    pub fn require(&self, entry: &'static str) -> Result<&str, BindingError> {
        self.get(entry).ok_or_else(|| BindingError::Missing {
            binding: self.name.clone(),
            entry,
        })
    }

    /// The names of the entries, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }
}

impl fmt::Debug for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Binding")
            .field("name", &self.name)
            .field("entries", &self.entries.keys())
            .finish()
    }
}

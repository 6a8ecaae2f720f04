use crds::DatabaseBinding;

use crate::hash;

/// Longest identifier of PostgreSQL; a longer one is cut without a word.
const MAX_IDENTIFIER: usize = 63;
const OWNER_SUFFIX: &str = "_owner";

/// What a binding is called on its server: the same each time, so that a crash leaves nothing unnamed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// The role that logs in.
    pub login: String,
    /// The role without login that owns the database and all in it (access `Owner` only uses it).
    pub owner: String,
    /// The database.
    pub database: String,
    /// What a binding is marked with, in front of ` uid=..` or ` retained`.
    pub(super) mark: String,
    pub(super) uid: String,
}

/// The names of a binding.
pub fn names(binding: &DatabaseBinding) -> Names {
    let meta = &binding.metadata;
    let namespace = meta.namespace.as_deref().unwrap_or_default();
    let name = meta.name.as_deref().unwrap_or_default();
    let tag = hash::short([namespace.as_bytes(), name.as_bytes()]);
    let plain = identifier(&format!("{namespace}_{name}"));
    // The hash tells `a-b/c` from `a/b-c`, which read the same once dashes are underscores.
    let room = MAX_IDENTIFIER - OWNER_SUFFIX.len() - tag.len() - 1;
    let head: String = plain.chars().take(room).collect();
    let login = format!("{}_{tag}", head.trim_end_matches('_'));
    let database = binding.spec.database.clone().unwrap_or_else(|| {
        if plain.len() <= MAX_IDENTIFIER {
            plain
        } else {
            login.clone()
        }
    });
    Names {
        owner: format!("{login}{OWNER_SUFFIX}"),
        login,
        database,
        mark: format!("storefront binding {namespace}/{name}"),
        uid: meta.uid.clone().unwrap_or_default(),
    }
}

fn identifier(text: &str) -> String {
    let clean: String = text
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '_'
            }
        })
        .collect();
    if clean.starts_with(|c: char| c.is_ascii_digit()) || clean.starts_with("pg_") {
        format!("b_{clean}")
    } else {
        clean
    }
}

impl Names {
    /// The comment on a role that is in use.
    pub fn mark_in_use(&self) -> String {
        format!("{} uid={}", self.mark, self.uid)
    }

    /// The comment on a role whose binding was deleted with `Retain`.
    pub fn mark_retained(&self) -> String {
        format!("{} retained", self.mark)
    }

    /// Whether a role with this comment is this binding's: marked by it, or left behind for it.
    pub fn is_ours(&self, comment: Option<&str>) -> bool {
        comment.is_some_and(|c| c == self.mark_in_use() || c == self.mark_retained())
    }
}

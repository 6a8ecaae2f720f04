//! Names on the server, made from the object alone, so that a crash leaves nothing unnamed.

use crds::{Access, DatabaseBinding};

use super::mark::{Hold, Mark};

/// Longest identifier that PostgreSQL keeps.
const LONGEST: usize = 63;

/// Every name that a binding uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// The database.
    pub database: String,
    /// Group role that owns the database; cannot log in.
    pub owner: String,
    /// Group role that may change rows.
    pub writer: String,
    /// Group role that may read rows.
    pub reader: String,
    /// The role that the binding's user logs in with.
    pub login: String,
    /// The Secret.
    pub secret: String,
}

/// What a binding asks of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Every name.
    pub names: Names,
    /// The claim to leave on what is made.
    pub mark: Mark,
    /// What the login role may do.
    pub access: Access,
    /// Extensions, sorted.
    pub extensions: Vec<&'static str>,
    /// Whether the server belongs to a shop of the same namespace. Then an object of the same
    /// namespace and name can only be our predecessor, and what it left may be adopted.
    pub own_server: bool,
}

impl Wanted {
    /// Reads a binding. `own_server`: its server is the one that a shop of its namespace embeds. `None` when it has no namespace or uid yet (never true of a stored object).
    pub fn of(binding: &DatabaseBinding, own_server: bool) -> Option<Self> {
        let meta = &binding.metadata;
        let (namespace, object) = (meta.namespace.as_deref()?, meta.name.as_deref()?);
        let uid = meta.uid.as_deref()?;
        let mut extensions: Vec<_> = binding
            .spec
            .extensions
            .iter()
            .map(|extension| extension.as_str())
            .collect();
        extensions.sort_unstable();
        extensions.dedup();
        Some(Self {
            names: names(namespace, object, uid, binding.spec.database.as_deref()),
            mark: Mark {
                namespace: namespace.into(),
                name: object.into(),
                uid: uid.into(),
                hold: Hold::Bound,
            },
            access: binding.spec.access,
            extensions,
            own_server,
        })
    }

    /// The group that gives the login role its rights.
    pub fn group(&self) -> &str {
        match self.access {
            Access::Owner => &self.names.owner,
            Access::ReadWrite => &self.names.writer,
            Access::ReadOnly => &self.names.reader,
        }
    }
}

fn names(namespace: &str, object: &str, uid: &str, database: Option<&str>) -> Names {
    let made = identifier(&format!("{namespace}_{object}"));
    let database = database.map_or_else(|| shorten(&made, ""), str::to_owned);
    Names {
        owner: shorten(&database, "_owner"),
        writer: shorten(&database, "_writer"),
        reader: shorten(&database, "_reader"),
        // A role of an earlier object of this name is never mistaken for ours.
        login: shorten(&made, &format!("_{:08x}", fnv1a(uid))),
        secret: crate::names::binding_secret(object),
        database,
    }
}

/// Letters, digits and underscores; not the start that PostgreSQL reserves.
fn identifier(text: &str) -> String {
    let plain: String = text
        .chars()
        .map(|c| {
            if c.is_ascii_lowercase() || c.is_ascii_digit() {
                c
            } else {
                '_'
            }
        })
        .collect();
    if plain.starts_with(|c: char| c.is_ascii_digit()) || plain.starts_with("pg_") {
        format!("db_{plain}")
    } else {
        plain
    }
}

/// `base` and `suffix` in 63 bytes; what does not fit is replaced by its hash.
fn shorten(base: &str, suffix: &str) -> String {
    if base.len() + suffix.len() <= LONGEST {
        return format!("{base}{suffix}");
    }
    let hash = format!("_{:08x}", fnv1a(base));
    let keep = LONGEST - suffix.len() - hash.len();
    // Both kinds of base are ASCII: made by `identifier`, or matched by the schema's pattern.
    let kept: String = base.chars().take(keep).collect();
    format!("{kept}{hash}{suffix}")
}

/// FNV-1a, folded to 32 bits: tells names apart, is not a secret.
fn fnv1a(text: &str) -> u64 {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (hash ^ (hash >> 32)) & 0xffff_ffff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_readable_and_fit() {
        let short = names("shops", "demo-auth", "u1", None);
        assert_eq!(short.database, "shops_demo_auth");
        assert_eq!(short.owner, "shops_demo_auth_owner");
        assert_eq!(short.secret, "demo-auth-db");
        assert!(short.login.starts_with("shops_demo_auth_"));
        let long = names(&"n".repeat(63), &"o".repeat(60), "u1", None);
        for name in [
            &long.database,
            &long.owner,
            &long.writer,
            &long.reader,
            &long.login,
        ] {
            assert!(name.len() <= LONGEST, "{name}");
        }
        assert_ne!(long.owner, long.database);
    }

    #[test]
    fn another_uid_means_another_login_role_but_the_same_database() {
        let (one, two) = (names("a", "b", "u1", None), names("a", "b", "u2", None));
        assert_ne!(one.login, two.login);
        assert_eq!(one.database, two.database);
    }

    #[test]
    fn no_name_starts_like_one_of_postgresql() {
        assert_eq!(names("pg-x", "b", "u", None).database, "db_pg_x_b");
        assert_eq!(names("1x", "b", "u", None).database, "db_1x_b");
    }
}

//! Names on the server, made from the object alone, so that a crash leaves nothing unnamed.

use crds::{Access, DatabaseBinding, Recreation};

use super::mark::{Hold, Mark};
use crate::names::{credentials_secret, plain_secret};

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
    /// The other role of the pair: it was in use before the last rotation, and is after the next.
    pub spare: String,
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
    /// How often the credentials were replaced before these.
    pub number: i64,
    /// The Secret in use is gone, or is not what was made: it cannot be made again under its name, so other
    /// credentials are due whatever else is.
    pub lost: bool,
    /// What the status has to say of databases that were lost.
    pub recreation: Option<Recreation>,
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
        let status = binding.status.as_ref();
        let number = status
            .and_then(|status| status.rotation.as_ref())
            .map_or(0, |rotation| rotation.number.max(0));
        let database = binding.spec.database.as_deref();
        let mut names = names(namespace, object, uid, database, number);
        let used = status.and_then(|status| Some(status.binding.as_ref()?.name.as_str()));
        let plain = plain_secret(object);
        if number == 0 && used == Some(plain.as_str()) {
            names.secret = plain;
        }
        Some(Self {
            names,
            mark: Mark {
                namespace: namespace.into(),
                name: object.into(),
                uid: uid.into(),
                hold: Hold::Bound,
            },
            number,
            lost: false,
            recreation: status.and_then(|status| status.recreation.clone()),
            access: binding.spec.access,
            extensions,
            own_server,
        })
    }

    /// The same after the next rotation: the other login role, and a Secret of a new name.
    #[must_use]
    pub fn next(&self) -> Self {
        let (names, number) = (&self.names, self.number.saturating_add(1));
        Self {
            names: Names {
                login: names.spare.clone(),
                spare: names.login.clone(),
                secret: credentials_secret(&self.mark.name, &self.mark.uid, number),
                ..names.clone()
            },
            number,
            lost: false,
            ..self.clone()
        }
    }

    /// Both login roles.
    pub fn logins(&self) -> [&str; 2] {
        [&self.names.login, &self.names.spare]
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

fn names(namespace: &str, object: &str, uid: &str, database: Option<&str>, number: i64) -> Names {
    let made = identifier(&format!("{namespace}_{object}"));
    let database = database.map_or_else(|| shorten(&made, ""), str::to_owned);
    // A role of an earlier object of this name is never mistaken for ours.
    let tag = fnv1a(uid);
    let mut pair = [tag, tag ^ 1].map(|tag| shorten(&made, &format!("_{tag:08x}")));
    if number % 2 == 1 {
        pair.reverse();
    }
    let [login, spare] = pair;
    Names {
        owner: shorten(&database, "_owner"),
        writer: shorten(&database, "_writer"),
        reader: shorten(&database, "_reader"),
        login,
        spare,
        secret: credentials_secret(object, uid, number),
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
        let short = names("shops", "demo-auth", "u1", None, 0);
        assert_eq!(short.database, "shops_demo_auth");
        assert_eq!(short.owner, "shops_demo_auth_owner");
        assert!(
            short.secret.starts_with("demo-auth-db-"),
            "{}",
            short.secret
        );
        assert!(short.login.starts_with("shops_demo_auth_"));
        let long = names(&"n".repeat(63), &"o".repeat(60), "u1", None, 1);
        for name in [
            &long.database,
            &long.owner,
            &long.writer,
            &long.reader,
            &long.login,
            &long.spare,
            &long.secret,
        ] {
            assert!(name.len() <= LONGEST, "{name}");
        }
        assert_ne!(long.owner, long.database);
    }

    #[test]
    fn another_uid_means_another_login_role_and_secret_but_the_same_database() {
        let (one, two) = (
            names("a", "b", "u1", None, 0),
            names("a", "b", "u2", None, 0),
        );
        assert_ne!(one.login, two.login);
        assert_ne!(one.secret, two.secret);
        assert_eq!(one.database, two.database);
    }

    #[test]
    fn no_name_starts_like_one_of_postgresql() {
        assert_eq!(names("pg-x", "b", "u", None, 0).database, "db_pg_x_b");
        assert_eq!(names("1x", "b", "u", None, 0).database, "db_1x_b");
    }

    #[test]
    fn each_rotation_takes_the_other_role_and_a_secret_of_a_new_name() {
        let binding: DatabaseBinding = serde_json::from_value(serde_json::json!({
            "apiVersion": "storefront.dev/v1alpha1", "kind": "DatabaseBinding",
            "metadata": { "name": "auth", "namespace": "shops", "uid": "u1" },
            "spec": { "serverRef": { "storefront": "demo" } },
        }))
        .expect("a binding");
        let zero = Wanted::of(&binding, true).expect("stored");
        assert_eq!(zero.names, names("shops", "auth", "u1", None, 0));
        let (one, two) = (zero.next(), zero.next().next());
        assert_eq!(one.names, names("shops", "auth", "u1", None, 1));
        assert_eq!(two.names, names("shops", "auth", "u1", None, 2));
        assert_ne!(zero.names.login, zero.names.spare);
        assert_eq!(one.logins(), [&*zero.names.spare, &*zero.names.login]);
        assert_eq!(two.logins(), zero.logins());
        let secrets = [&zero, &one, &two].map(|wanted| wanted.names.secret.as_str());
        assert!(secrets.iter().all(|name| name.starts_with("auth-db-")));
        assert!(secrets[0] != secrets[1] && secrets[1] != secrets[2] && secrets[0] != secrets[2]);
    }

    #[test]
    fn a_secret_of_before_keeps_its_name_until_the_next_rotation() {
        let binding: DatabaseBinding = serde_json::from_value(serde_json::json!({
            "apiVersion": "storefront.dev/v1alpha1", "kind": "DatabaseBinding",
            "metadata": { "name": "auth", "namespace": "shops", "uid": "u1" },
            "spec": { "serverRef": { "storefront": "demo" } },
            "status": { "binding": { "name": "auth-db" } },
        }))
        .expect("a binding");
        let wanted = Wanted::of(&binding, true).expect("stored");
        assert_eq!(wanted.names.secret, "auth-db");
        assert_eq!(
            wanted.next().names.secret,
            names("shops", "auth", "u1", None, 1).secret
        );
    }
}

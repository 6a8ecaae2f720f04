//! Where the server is, and whether a binding can be acted on.

use std::collections::BTreeMap;
use std::fmt;

use crds::{DatabaseBinding, Storefront};

use super::names::Wanted;
use crate::{Invalid, Verdict, Waiting, backing::Database};

/// A Secret's decoded content.
pub type Data = BTreeMap<String, Vec<u8>>;

/// What was read before validation.
#[derive(Clone, Default)]
pub struct Observed {
    /// The shop that the binding names, if it names one and it exists.
    pub storefront: Option<Storefront>,
    /// Content of the server's Secret, see [`admin_secret`].
    pub admin: Option<Data>,
}

/// A server and its administrator.
#[derive(Clone, PartialEq, Eq)]
pub struct Server {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// A role that may create roles and databases.
    pub username: String,
    /// Its password.
    pub password: String,
    /// libpq's `sslmode`; absent: TLS where the server offers it.
    pub sslmode: Option<String>,
}

impl fmt::Debug for Server {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}@{}:{}", self.username, self.host, self.port)
    }
}

/// A binding that can be acted on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Valid {
    /// What it asks of its server.
    pub wanted: Wanted,
    /// The server.
    pub server: Server,
}

impl Valid {
    /// The same after the next rotation, see [`Wanted::next`].
    #[must_use]
    pub fn next(&self) -> Self {
        Self {
            wanted: self.wanted.next(),
            server: self.server.clone(),
        }
    }
}

/// The Secret that says where the server is and who administers it. `None`: the shop is not known.
pub fn admin_secret(binding: &DatabaseBinding, storefront: Option<&Storefront>) -> Option<String> {
    let server = &binding.spec.server_ref;
    if let Some(secret) = &server.admin_secret {
        return Some(secret.name.clone());
    }
    let shop = server.storefront.as_deref()?;
    let spec = &storefront?.spec;
    Database::of(spec).admin_secret(spec, shop)
}

/// Decides whether a binding can be acted on.
pub fn validate(binding: &DatabaseBinding, seen: &Observed) -> Verdict<Valid> {
    let shop = binding.spec.server_ref.storefront.as_deref();
    if let (Some(shop), None) = (shop, &seen.storefront) {
        return Verdict::Waiting(Waiting::new(
            "StorefrontNotFound",
            format!("spec.serverRef.storefront: there is no Storefront {shop} in this namespace"),
        ));
    }
    let secret = admin_secret(binding, seen.storefront.as_ref()).unwrap_or_default();
    let Some(admin) = &seen.admin else {
        return Verdict::Waiting(Waiting::new(
            "ServerSecretNotFound",
            format!("Secret {secret}, which says where the database server is, does not exist"),
        ));
    };
    let embedded = seen
        .storefront
        .as_ref()
        .is_some_and(|shop| shop.spec.database.external.is_none());
    let namespace = binding.metadata.namespace.as_deref().unwrap_or_default();
    let home = shop
        .filter(|_| embedded)
        .map(|shop| format!("{}.{namespace}.svc", crate::names::child(shop, "postgres")));
    let server = match server(admin, home.as_deref(), &secret) {
        Ok(server) => server,
        Err(invalid) => return Verdict::Invalid(invalid),
    };
    match Wanted::of(binding, embedded) {
        Some(wanted) => Verdict::Ready(Valid { wanted, server }),
        None => Verdict::Waiting(Waiting::new("NotStored", "the object has no uid yet")),
    }
}

/// Reads the server's Secret; `home` is the embedded server's Service.
fn server(admin: &Data, home: Option<&str>, secret: &str) -> Result<Server, Invalid> {
    let text = |key: &str| {
        let value = admin.get(key).map(|bytes| std::str::from_utf8(bytes));
        match value {
            Some(Ok(value)) if !value.trim().is_empty() => Ok(Some(value.trim().to_owned())),
            Some(Err(_)) => Err(Invalid::new(
                "ServerSecretInvalid",
                format!("Secret {secret}: key {key} is not text"),
            )),
            Some(Ok(_)) | None => Ok(None),
        }
    };
    let missing = |key: &str| {
        Invalid::new(
            "ServerSecretInvalid",
            format!("Secret {secret}: key {key} is missing"),
        )
    };
    let port = match text("port")? {
        None => 5432,
        Some(port) => port.parse().map_err(|_| {
            Invalid::new(
                "ServerSecretInvalid",
                format!("Secret {secret}: key port is no TCP port"),
            )
        })?,
    };
    Ok(Server {
        host: text("host")?
            .or(home.map(str::to_owned))
            .ok_or_else(|| missing("host"))?,
        port,
        username: text("username")?
            .or(home.map(|_| "postgres".to_owned()))
            .ok_or_else(|| missing("username"))?,
        password: text("password")?.ok_or_else(|| missing("password"))?,
        sslmode: text("sslmode")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(pairs: &[(&str, &str)]) -> Data {
        pairs
            .iter()
            .map(|(key, value)| ((*key).into(), value.as_bytes().to_vec()))
            .collect()
    }

    #[test]
    fn an_external_server_needs_host_username_and_password() {
        let admin = data(&[
            ("host", "db.example"),
            ("username", "root"),
            ("password", "x\n"),
        ]);
        let found = server(&admin, None, "s").expect("complete");
        assert_eq!((found.host.as_str(), found.port), ("db.example", 5432));
        assert_eq!(found.password, "x");
        for key in ["host", "username", "password"] {
            let mut short = admin.clone();
            short.remove(key);
            assert!(
                server(&short, None, "s")
                    .expect_err(key)
                    .message
                    .contains(key)
            );
        }
    }

    #[test]
    fn the_shops_own_server_needs_only_a_password() {
        let found = server(
            &data(&[("password", "x")]),
            Some("demo-postgres.shops.svc"),
            "s",
        );
        assert_eq!(found.expect("complete").host, "demo-postgres.shops.svc");
    }
}

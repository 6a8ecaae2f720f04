//! Where the server is, and whether a binding can be acted on.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crds::{DatabaseBinding, Storefront};
use k8s_openapi::api::apps::v1::StatefulSet;

use super::names::Wanted;
use crate::{Invalid, Verdict, Waiting, backing::Database, conditions, storefront::own};

/// A Secret's decoded content.
pub type Data = BTreeMap<String, Vec<u8>>;

/// What was read before validation.
#[derive(Clone, Default)]
pub struct Observed {
    /// The shop that the binding names, if it names one and it exists.
    pub storefront: Option<Arc<Storefront>>,
    /// The shop whose child the binding is, see [`owner`].
    pub owner: Option<Arc<Storefront>>,
    /// Every shop of the namespace.
    pub shops: Vec<Arc<Storefront>>,
    /// Content of the server's Secret, see [`admin_secret`].
    pub admin: Option<Data>,
    /// The shop's own server, see [`embedded_server`].
    pub server: ServerState,
}

/// What is known of the StatefulSet of a shop's own server.
#[derive(Clone, Default)]
pub enum ServerState {
    /// Nothing, or the server is somebody else's: connecting is the only way to find out.
    #[default]
    Unknown,
    /// It does not exist.
    Absent,
    /// It exists.
    Present(Arc<StatefulSet>),
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

/// Name of the Storefront whose child a binding is, and its uid.
pub fn owner(binding: &DatabaseBinding) -> Option<(&str, &str)> {
    let mut owners = binding.metadata.owner_references.iter().flatten();
    let owner =
        owners.find(|owner| owner.controller == Some(true) && owner.kind == "Storefront")?;
    Some((&owner.name, &owner.uid))
}

/// Refuses the Secret of a shop's own server: by that a binding would have other rights there than one that
/// names the shop.
fn check_secret(binding: &DatabaseBinding, seen: &Observed) -> Result<(), Invalid> {
    let Some(secret) = &binding.spec.server_ref.admin_secret else {
        return Ok(());
    };
    let mut shops = seen.shops.iter();
    let Some(shop) = shops.find(|shop| own::makes_secret(shop, &secret.name)) else {
        return Ok(());
    };
    let shop = shop.metadata.name.as_deref().unwrap_or_default();
    Err(Invalid::new(
        "SecretNotAllowed",
        format!(
            "spec.serverRef.adminSecret: the Secret {} belongs to Storefront {shop}; create a DatabaseBinding with spec.serverRef.storefront: {shop}",
            secret.name
        ),
    ))
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

/// Name of the StatefulSet of the server, where the shop runs it.
pub fn embedded_server(
    binding: &DatabaseBinding,
    storefront: Option<&Storefront>,
) -> Option<String> {
    let server = &binding.spec.server_ref;
    let shop = server.storefront.as_deref()?;
    let is_embedded = storefront?.spec.database.external.is_none();
    (is_embedded && server.admin_secret.is_none()).then(|| crate::names::child(shop, "postgres"))
}

/// What a binding that was never ready waits for before anybody connects: the shop's own server to
/// have a ready pod, which is watched. One that is in use is audited whatever the server's pod says.
pub fn awaits_server(binding: &DatabaseBinding, seen: &Observed) -> Option<Waiting> {
    let known = binding.status.as_ref();
    let known = known.map_or(&[][..], |status| &status.conditions);
    if conditions::is_ready(known, binding.metadata.generation) {
        return None;
    }
    let name = embedded_server(binding, seen.storefront.as_deref())?;
    let message = match &seen.server {
        ServerState::Unknown => return None,
        ServerState::Absent => format!("StatefulSet {name} does not exist yet"),
        ServerState::Present(set) => {
            let status = set.status.as_ref();
            let ready = status.and_then(|status| status.ready_replicas);
            if ready.unwrap_or_default() > 0 {
                return None;
            }
            format!("StatefulSet {name} has no ready pod yet")
        }
    };
    Some(Waiting::new("ServerNotReady", message))
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
    if let Err(why) = check_secret(binding, seen) {
        return Verdict::Invalid(why);
    }
    let secret = admin_secret(binding, seen.storefront.as_deref()).unwrap_or_default();
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

    fn shop() -> Storefront {
        serde_json::from_value(serde_json::json!({
            "apiVersion": "storefront.dev/v1alpha1", "kind": "Storefront", "metadata": { "name": "demo" },
            "spec": { "hostnames": ["demo.example"], "deletionPolicy": "BackupThenDelete",
                "notifications": { "email": { "smtp": { "host": "mail", "from": "a@b.c" } } } } }))
        .expect("a shop")
    }

    fn binding(name: &str, spec: &serde_json::Value) -> DatabaseBinding {
        serde_json::from_value(serde_json::json!({
            "apiVersion": "storefront.dev/v1alpha1", "kind": "DatabaseBinding",
            "metadata": { "name": name, "namespace": "shops", "generation": 1, "uid": "u" }, "spec": spec }))
        .expect("a binding")
    }

    #[test]
    fn nobody_is_the_administrator_of_a_shops_own_server_by_its_secret() {
        let by = |secret: &str| {
            let spec = serde_json::json!({ "serverRef": { "adminSecret": { "name": secret } } });
            let seen = Observed {
                admin: Some(data(&[("host", "h"), ("username", "u"), ("password", "p")])),
                shops: vec![Arc::new(shop())],
                ..Observed::default()
            };
            validate(&binding("reviews", &spec), &seen)
        };
        assert!(by("db-admin").ready().is_some());
        let Verdict::Invalid(why) = by("demo-postgres-admin") else {
            panic!("it is accepted");
        };
        assert_eq!(why.reason, "SecretNotAllowed");
        assert!(
            why.message
                .ends_with("create a DatabaseBinding with spec.serverRef.storefront: demo"),
            "{}",
            why.message
        );
    }

    #[test]
    fn a_binding_that_was_never_ready_waits_for_a_pod_of_the_shops_own_server() {
        let shop = Arc::new(shop());
        let of_demo = serde_json::json!({ "serverRef": { "storefront": "demo" } });
        let mut binding = binding("demo-auth", &of_demo);
        let set = |ready: i32| {
            let mut set = StatefulSet::default();
            set.status.get_or_insert_default().ready_replicas = Some(ready);
            ServerState::Present(Arc::new(set))
        };
        let waits = |binding: &DatabaseBinding, server: ServerState| {
            let seen = Observed {
                storefront: Some(shop.clone()),
                server,
                ..Observed::default()
            };
            awaits_server(binding, &seen).is_some()
        };
        assert!(waits(&binding, ServerState::Absent));
        assert!(waits(&binding, set(0)));
        assert!(!waits(&binding, set(1)));
        assert!(!waits(&binding, ServerState::Unknown));
        // One that was ready goes on, whatever becomes of the pod.
        let ready = [conditions::Aspect::yes("Ready", "Ready", "")];
        let now = jiff::Timestamp::UNIX_EPOCH;
        binding.status.get_or_insert_default().conditions =
            conditions::conditions(&[], &ready, Some(1), now);
        assert!(!waits(&binding, set(0)));
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

use crds::{DatabaseBinding, Storefront};

use super::{Data, Names, Observed, admin_secret, names};
use crate::{
    Invalid, Platform, Verdict, Waiting, conditions, objects::owner_of, pods::Scope,
    storefront::version,
};

/// Where the server is and who administers it.
#[derive(Clone, PartialEq, Eq)]
pub struct Server {
    /// Host name or address, reachable from the operator and from pods.
    pub host: String,
    /// Port.
    pub port: u16,
    /// A role that may create roles and databases.
    pub username: String,
    /// Its password.
    pub password: String,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Server({}@{}:{})", self.username, self.host, self.port)
    }
}

/// A DatabaseBinding that can be acted on.
#[derive(Clone, Debug)]
pub struct Valid {
    pub(super) binding: DatabaseBinding,
    pub(super) scope: Scope,
    pub(super) names: Names,
    pub(super) server: Server,
    /// The password in the binding's Secret, if there is one.
    pub(super) password: Option<String>,
    /// Image of the backup Job.
    pub(super) backup_image: String,
    pub(super) pull_policy: String,
}

impl Valid {
    /// Names of role and database.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// Where the server is.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// The password that the Secret holds, if the Secret is there.
    pub fn stored_password(&self) -> Option<&str> {
        self.password.as_deref()
    }

    pub(super) fn name(&self) -> &str {
        &self.scope.owner.name
    }
}

/// Whether the binding can be made now.
pub fn validate(binding: &DatabaseBinding, seen: &Observed, platform: &Platform) -> Verdict<Valid> {
    let server_ref = &binding.spec.server_ref;
    if server_ref.storefront.is_some() == server_ref.admin_secret.is_some() {
        return Verdict::Invalid(Invalid::new(
            "ServerAmbiguous",
            "spec.serverRef: give exactly one of storefront or adminSecret",
        ));
    }
    if let Some(shop) = &server_ref.storefront
        && let Err(on) = server_is_up(shop, seen.storefront.as_ref())
    {
        return Verdict::Waiting(on);
    }
    match build(binding, seen, platform) {
        Ok(valid) => Verdict::Ready(valid),
        Err(on) => Verdict::Waiting(on),
    }
}

/// The binding for its deletion: whether its server says that it is up does not matter. `None`: nobody
/// can say where the server is any more, so there is nothing that could be dropped.
pub fn for_deletion(
    binding: &DatabaseBinding,
    seen: &Observed,
    platform: &Platform,
) -> Option<Valid> {
    build(binding, seen, platform).ok()
}

fn server_is_up(shop: &str, storefront: Option<&Storefront>) -> Result<(), Waiting> {
    let Some(storefront) = storefront else {
        return Err(Waiting::new(
            "StorefrontMissing",
            format!(
                "spec.serverRef.storefront: there is no Storefront {shop} in this namespace; create it"
            ),
        ));
    };
    let known = storefront
        .status
        .as_ref()
        .map(|s| s.conditions.as_slice())
        .unwrap_or_default();
    match conditions::find(known, "DatabaseReady") {
        Some(c) if c.is_true() => Ok(()),
        Some(c) => Err(Waiting::new(
            "ServerNotReady",
            format!(
                "the server of Storefront {shop} is not ready: {}",
                c.message
            ),
        )),
        None => Err(Waiting::new(
            "ServerNotReady",
            format!("Storefront {shop} has not been looked at yet"),
        )),
    }
}

fn build(
    binding: &DatabaseBinding,
    seen: &Observed,
    platform: &Platform,
) -> Result<Valid, Waiting> {
    let secret = admin_secret(binding, seen.storefront.as_ref()).unwrap_or_default();
    let Some(admin) = &seen.admin else {
        return Err(Waiting::new(
            "SecretMissing",
            format!(
                "spec.serverRef: the Secret {secret} does not exist; create it with host, port, username, password"
            ),
        ));
    };
    let release = seen
        .storefront
        .as_ref()
        .map_or_else(|| platform.version.clone(), |s| version(s, platform));
    Ok(Valid {
        binding: binding.clone(),
        scope: Scope {
            namespace: binding.metadata.namespace.clone().unwrap_or_default(),
            storefront: binding.spec.server_ref.storefront.clone(),
            owner: owner_of(binding),
        },
        names: names(binding),
        server: server(&secret, admin)?,
        password: seen.secret.as_ref().and_then(|data| text(data, "password")),
        backup_image: platform.image("postgres", &release),
        pull_policy: platform.pull_policy.clone(),
    })
}

fn server(secret: &str, admin: &Data) -> Result<Server, Waiting> {
    let need = |key: &str| {
        text(admin, key).ok_or_else(|| {
            Waiting::new(
                "SecretIncomplete",
                format!("spec.serverRef: the Secret {secret} has no key {key}; add it"),
            )
        })
    };
    let port = need("port")?;
    let Ok(port) = port.trim().parse() else {
        return Err(Waiting::new(
            "SecretIncomplete",
            format!("spec.serverRef: port of the Secret {secret} is not a port number"),
        ));
    };
    Ok(Server {
        host: need("host")?,
        port,
        username: need("username")?,
        password: need("password")?,
    })
}

fn text(data: &Data, key: &str) -> Option<String> {
    let value = std::str::from_utf8(data.get(key)?).ok()?;
    (!value.is_empty()).then(|| value.to_owned())
}

use std::collections::BTreeMap;

use crds::{DeletionPolicy, Storefront};

use super::{BUILT_IN_CLASS, Data, Observed, made_secrets, referenced_secrets, version};
use crate::{Invalid, Platform, Verdict, Waiting, objects::owner_of, pods::Scope};

/// Room that the shop's stream reserves on the bus (1 GiB), with what JetStream needs around it.
const LEAST_BUS_MIB: u64 = 1_536;

/// A Storefront that can be acted on.
#[derive(Clone, Debug)]
pub struct Valid {
    pub(super) storefront: Storefront,
    pub(super) scope: Scope,
    pub(super) platform: Platform,
    pub(super) version: String,
    pub(super) seen: Observed,
    pub(super) missing: Vec<Missing>,
}

/// A Secret of the user's that is not there, or not whole. Only the parts that are made of it stay as
/// they are until it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Its name.
    pub secret: String,
    /// Field and remedy.
    pub on: Waiting,
}

/// Where the shop's database server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Server {
    /// The operator runs it.
    Embedded,
    /// Somebody else runs it; the Secret says where.
    External {
        /// Name of the Secret.
        admin_secret: String,
    },
}

impl Valid {
    /// The shop's name.
    pub fn name(&self) -> &str {
        &self.scope.owner.name
    }

    /// The release that it runs.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Where its database server is.
    pub fn server(&self) -> Server {
        match &self.storefront.spec.database.external {
            Some(external) => Server::External {
                admin_secret: external.admin_secret_ref.name.clone(),
            },
            None => Server::Embedded,
        }
    }

    /// A name made from the shop's.
    pub(super) fn child(&self, part: &str) -> String {
        format!("{}-{part}", self.name())
    }

    pub(super) fn image(&self, name: &str) -> String {
        self.platform.image(name, &self.version)
    }

    /// Whether data is meant to survive the Storefront.
    pub(super) fn retains(&self) -> bool {
        self.storefront.spec.deletion_policy == DeletionPolicy::Retain
    }

    /// Secrets of the user's that are waited for.
    pub fn missing(&self) -> &[Missing] {
        &self.missing
    }

    pub(super) fn lacks(&self, secret: &str) -> bool {
        self.missing.iter().any(|missing| missing.secret == secret)
    }

    pub(super) fn external_data(&self) -> Option<&Data> {
        let external = self.storefront.spec.database.external.as_ref()?;
        self.seen.referenced.get(&external.admin_secret_ref.name)
    }
}

/// Whether the shop can be made. A Secret of the user's that is missing does not stop the parts that
/// have no use for it: see [`Valid::missing`].
pub fn validate(storefront: &Storefront, seen: Observed, platform: &Platform) -> Verdict<Valid> {
    match check_spec(storefront) {
        Err(why) => Verdict::Invalid(why),
        Ok(()) => Verdict::Ready(for_deletion(storefront, seen, platform)),
    }
}

/// The Storefront as it is, good or not: a deletion must end whatever else is wrong.
pub fn for_deletion(storefront: &Storefront, seen: Observed, platform: &Platform) -> Valid {
    let owner = owner_of(storefront);
    Valid {
        scope: Scope {
            namespace: storefront.metadata.namespace.clone().unwrap_or_default(),
            storefront: Some(owner.name.clone()),
            owner,
        },
        platform: platform.clone(),
        version: version(storefront, platform),
        missing: missing(storefront, &seen.referenced),
        storefront: storefront.clone(),
        seen,
    }
}

fn check_spec(storefront: &Storefront) -> Result<(), Invalid> {
    let spec = &storefront.spec;
    let name = storefront.metadata.name.as_deref().unwrap_or_default();
    if name.is_empty() || name.len() > 40 {
        return Err(Invalid::new(
            "NameTooLong",
            "metadata.name must have 1 to 40 characters; make a Storefront with a shorter name",
        ));
    }
    if spec.hostnames.is_empty() {
        return Err(Invalid::new(
            "HostnamesMissing",
            "spec.hostnames: name at least one host",
        ));
    }
    if spec.database.embedded.is_some() == spec.database.external.is_some() {
        return Err(Invalid::new(
            "DatabaseAmbiguous",
            "spec.database: give exactly one of embedded or external",
        ));
    }
    let bus_mib = mebibytes(&spec.queue.nats.storage).unwrap_or(0);
    if bus_mib < LEAST_BUS_MIB {
        return Err(Invalid::new(
            "QueueStorageTooSmall",
            format!(
                "spec.queue.nats.storage: {} is too small, the shop's stream alone reserves 1Gi; make a Storefront with {LEAST_BUS_MIB}Mi or more",
                spec.queue.nats.storage
            ),
        ));
    }
    let made = made_secrets(storefront);
    if let Some(taken) = referenced_secrets(storefront)
        .iter()
        .find(|name| made.contains(name))
    {
        return Err(Invalid::new(
            "SecretNameTaken",
            format!(
                "spec: the Secret {taken} is one that the shop makes for itself; give yours another name"
            ),
        ));
    }
    if spec.gateway.class_name != BUILT_IN_CLASS && !spec.gateway.rate_limits.is_empty() {
        return Err(Invalid::new(
            "RateLimitsUnsupported",
            format!(
                "spec.gateway.rateLimits: the class {} does not know RateLimitPolicy; use className storefront or leave rateLimits out",
                spec.gateway.class_name
            ),
        ));
    }
    Ok(())
}

/// The Secrets that the spec names and that cannot be used, in the order of [`referenced_secrets`].
fn missing(storefront: &Storefront, referenced: &BTreeMap<String, Data>) -> Vec<Missing> {
    referenced_secrets(storefront)
        .into_iter()
        .filter_map(|secret| {
            let on = check_secret(storefront, &secret, referenced.get(&secret)).err()?;
            Some(Missing { secret, on })
        })
        .collect()
}

fn check_secret(storefront: &Storefront, name: &str, data: Option<&Data>) -> Result<(), Waiting> {
    let spec = &storefront.spec;
    let external = spec
        .database
        .external
        .as_ref()
        .map(|e| e.admin_secret_ref.name.as_str());
    let tls = spec
        .gateway
        .tls
        .as_ref()
        .map(|t| t.secret_ref.name.as_str());
    let (field, keys): (_, &[&str]) = if external == Some(name) {
        (
            "spec.database.external.adminSecretRef",
            &["host", "port", "username", "password"],
        )
    } else if tls == Some(name) {
        ("spec.gateway.tls.secretRef", &["tls.crt", "tls.key"])
    } else {
        (
            "spec.notifications.email.smtp.secretRef",
            &["username", "password"],
        )
    };
    let Some(data) = data else {
        return Err(Waiting::new(
            "SecretMissing",
            format!(
                "{field}: the Secret {name} does not exist; create it with {}",
                keys.join(", ")
            ),
        ));
    };
    match keys.iter().find(|key| !data.contains_key(**key)) {
        Some(key) => Err(Waiting::new(
            "SecretIncomplete",
            format!("{field}: the Secret {name} has no key {key}; add it"),
        )),
        None => Ok(()),
    }
}

/// Whole mebibytes of a size such as `512Mi` or `2Gi`.
pub(super) fn mebibytes(size: &str) -> Option<u64> {
    let (digits, unit) = size.split_at_checked(size.len().checked_sub(2)?)?;
    let count: u64 = digits.parse().ok()?;
    match unit {
        "Mi" => Some(count),
        "Gi" => count.checked_mul(1_024),
        "Ti" => count.checked_mul(1_048_576),
        _ => None,
    }
}

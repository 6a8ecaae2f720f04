//! DatabaseBinding: a database, its roles, and a Secret for one user of it.
//!
//! The order of effects, each safe to repeat after a crash at any point: finalizer; [`intent`] into
//! the status (names of role and database); [`desired`] (the Secret with its password); then the
//! steps of [`provision`], which read the password from the Secret as it is stored; then the status.
//! What exists on the server is [`Found`]; the queries that find it are [`sql::ROLES_QUERY`] and its
//! neighbours. A role is ours when its comment says so; nothing else is adopted, changed or dropped.

mod backup;
mod desired;
mod naming;
mod provision;
mod reclaim;
pub mod sql;
mod status;
mod validate;

use crds::{DatabaseBinding, Storefront};

pub use crate::storefront::Data;
pub use backup::{BACKUP_MOUNT, backup_job_name, backup_volume_name};
pub use desired::{desired, intent};
pub use naming::{Names, names};
pub use provision::{DatabaseFacts, Found, OwnFacts, RoleFacts, Step, Target, provision};
pub use reclaim::{Reclaim, reclaim};
pub use status::status;
pub use validate::{Server, Valid, for_deletion, validate};

/// What is known about the world around a DatabaseBinding.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// The Storefront of `spec.serverRef.storefront`.
    pub storefront: Option<Storefront>,
    /// The content of the Secret of [`admin_secret`], if it exists.
    pub admin: Option<Data>,
    /// The content of the binding's own Secret ([`secret_name`]), if it exists.
    pub secret: Option<Data>,
}

/// Name of the Secret that says where the server is and how to administer it.
pub fn admin_secret(binding: &DatabaseBinding, storefront: Option<&Storefront>) -> Option<String> {
    let server = &binding.spec.server_ref;
    if let Some(secret) = &server.admin_secret {
        return Some(secret.name.clone());
    }
    let shop = server.storefront.as_ref()?;
    let external = storefront.and_then(|s| s.spec.database.external.as_ref());
    Some(external.map_or_else(
        || format!("{shop}-postgres-admin"),
        |external| external.admin_secret_ref.name.clone(),
    ))
}

/// Name of the Secret that the binding makes.
pub fn secret_name(binding: &DatabaseBinding) -> String {
    crate::names::binding_secret(binding.metadata.name.as_deref().unwrap_or_default())
}

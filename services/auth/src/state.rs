//! The state of the service.

use std::sync::Arc;

use axum::extract::FromRef;
use chassis::InternalToken;
use chrono::{DateTime, Utc};
use service::Core;

use crate::accounts::domain::account::Principal;
use crate::accounts::hasher::Hasher;
use crate::accounts::registrations::Registrations;
use crate::keys::domain::{Keyring, SignError};
use crate::metrics::Metrics;
use crate::sessions::failed_logins::FailedLogins;

/// What handlers and tasks use. Cheap to clone.
#[derive(Clone)]
pub struct AppState {
    /// Database, clock, random source.
    pub core: Core,
    /// Hashes passwords.
    pub hasher: Hasher,
    /// Counts failed logins.
    pub failed_logins: FailedLogins,
    /// Counts registrations.
    pub registrations: Registrations,
    /// Signs tokens.
    pub issuer: Arc<Issuer>,
    /// Authenticates other services.
    pub internal: InternalToken,
    /// Metrics.
    pub metrics: Metrics,
}

/// Signs tokens with the keys, issuer and audience of the shop.
pub struct Issuer {
    /// Signing keys.
    pub keyring: Keyring,
    /// `iss`.
    pub name: String,
    /// `aud`.
    pub audience: String,
}

impl Issuer {
    /// Signs an access token.
    pub fn sign(&self, principal: &Principal, now: DateTime<Utc>) -> Result<String, SignError> {
        self.keyring
            .sign(&self.name, &self.audience, principal, now)
    }
}

impl FromRef<AppState> for InternalToken {
    fn from_ref(app: &AppState) -> Self {
        app.internal.clone()
    }
}

//! The first administrator: an account that follows the platform's Secret.
//!
//! At every start the account is made equal to the Secret. It is marked as the Secret's, so that a changed
//! name or address in the Secret changes the account instead of creating a second one. A changed password
//! ends all its sessions. If a person registered the address before, that account becomes the
//! administrator's, with the Secret's password: who writes the Secret owns the shop. `user.registered` is
//! not published: no welcome mail is due, and the service user requests the account when it first needs it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chassis::{Binding, BindingError};
use service::StoreError;
use tokio_util::sync::CancellationToken;
use vocabulary::{FieldError, Role, UserId};

use crate::accounts::domain::account::{Password, Registration};
use crate::accounts::hasher::HashError;
use crate::accounts::store::{self as accounts, InsertError, NewAccount, StoredAdmin};
use crate::sessions::store::{self as sessions, RevokedReason};
use crate::state::AppState;

/// The binding `admin`.
pub struct FirstAdmin {
    username: String,
    email: String,
    password: String,
}

/// An administrator that was not stored.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// An entry of the binding is invalid.
    #[error("invalid {} in binding admin: {}", .0.field, .0.message)]
    Invalid(FieldError),
    /// An entry of the binding is missing.
    #[error(transparent)]
    Binding(#[from] BindingError),
    /// Another account has its name or address, or the statement failed.
    #[error("failed to store the administrator")]
    Insert(#[from] InsertError),
    /// The password was not hashed.
    #[error("failed to hash the administrator's password")]
    Hash(#[from] HashError),
    /// A statement failed.
    #[error("failed to find the administrator")]
    Store(#[from] StoreError),
}

impl AdminError {
    /// True if a retry may succeed.
    fn is_transient(&self) -> bool {
        match self {
            Self::Hash(_) | Self::Store(_) | Self::Insert(InsertError::Store(_)) => true,
            Self::Invalid(_) | Self::Binding(_) | Self::Insert(InsertError::Taken(_)) => false,
        }
    }
}

impl FirstAdmin {
    /// Reads and checks the binding `admin`.
    pub fn read(binding: &Binding) -> Result<Self, AdminError> {
        let admin = Self {
            username: binding.require("username")?.to_owned(),
            email: binding.require("email")?.to_owned(),
            password: binding.require("password")?.to_owned(),
        };
        admin.registration()?;
        Ok(admin)
    }

    fn registration(&self) -> Result<Registration, AdminError> {
        let checked = Registration::check(&self.username, &self.email, self.password.clone());
        // The list of errors is never empty.
        checked.map_err(|errors| {
            let first = errors.into_iter().next();
            AdminError::Invalid(first.unwrap_or_else(|| FieldError::new("entry", "must be valid")))
        })
    }
}

/// The outcome of [`ensure`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ensured {
    /// There was no account.
    Created,
    /// The account differed from the Secret.
    Updated,
    /// The account was equal to the Secret.
    Unchanged,
}

/// Makes the account equal to the Secret. Idempotent; replicas may run it at the same time.
pub async fn ensure(app: &AppState, admin: &FirstAdmin) -> Result<Ensured, AdminError> {
    let wanted = admin.registration()?;
    let roles = [Role::Admin, Role::Customer].map(|role| role.as_str().to_owned());
    let now = app.core.now();
    let mut tx = app.core.begin().await?;
    accounts::lock_admin(&mut tx).await?;
    let stored = accounts::find_admin(&mut tx, &wanted.email.key()).await?;
    let kept = kept_hash(app, &admin.password, stored.as_ref()).await?;
    let (password_hash, same_password) = match kept {
        Some(hash) => (hash, true),
        None => (app.hasher.slot().await?.hash(wanted.password).await?, false),
    };
    let account = NewAccount {
        id: match &stored {
            Some(stored) => stored.id,
            None => UserId::mint(now, &*app.core.entropy),
        },
        username: (wanted.username.as_str(), wanted.username.key()),
        email: (wanted.email.as_str(), wanted.email.key()),
        password_hash: &password_hash,
        roles: &roles,
        from_secret: true,
        created_at: now,
    };
    let ensured = match stored {
        None => {
            accounts::insert(&mut tx, &account).await?;
            Ensured::Created
        }
        Some(stored) if same_password && is_same(&stored, &account) => Ensured::Unchanged,
        Some(stored) => {
            accounts::update_admin(&mut tx, &account).await?;
            if !same_password {
                let reason = RevokedReason::PasswordChanged;
                sessions::revoke_all(&mut tx, stored.id, reason, now).await?;
            }
            Ensured::Updated
        }
    };
    app.core.commit(tx).await?;
    Ok(ensured)
}

/// The stored hash, or a better one with current parameters, if it is a hash of the Secret's password.
async fn kept_hash(
    app: &AppState,
    password: &str,
    stored: Option<&StoredAdmin>,
) -> Result<Option<String>, AdminError> {
    let Some(stored) = stored else {
        return Ok(None);
    };
    let attempt = Password::attempt(password);
    let slot = app.hasher.slot().await?;
    let compared = slot.compare(attempt, stored.password_hash.clone()).await?;
    Ok(match compared.upgraded {
        Some(better) => Some(better),
        None => compared.matches.then(|| stored.password_hash.clone()),
    })
}

fn is_same(stored: &StoredAdmin, wanted: &NewAccount<'_>) -> bool {
    stored.from_secret
        && stored.username == wanted.username.0
        && stored.email == wanted.email.0
        && stored.roles == wanted.roles
        && stored.password_hash == wanted.password_hash
}

/// Whether the account is stored; the readiness of the process depends on it. Clones share.
#[derive(Debug, Clone, Default)]
pub struct Stored(Arc<AtomicBool>);

impl Stored {
    /// The readiness check.
    pub fn check(&self) -> impl Future<Output = Result<(), String>> + use<> {
        let stored = self.0.load(Ordering::Relaxed);
        std::future::ready(stored.then_some(()).ok_or("not stored yet".to_owned()))
    }
}

/// Ensures the account, with retries, then waits for shutdown. Returns at once if a retry cannot help, which
/// ends the process: a rollout with an invalid Secret must not replace a working one.
pub async fn keep(app: AppState, admin: FirstAdmin, stored: Stored, shutdown: CancellationToken) {
    let mut pause = Duration::from_millis(250);
    loop {
        match ensure(&app, &admin).await {
            Ok(ensured) => {
                tracing::info!(?ensured, "first administrator is stored");
                stored.0.store(true, Ordering::Relaxed);
                return shutdown.cancelled().await;
            }
            Err(error) => {
                let cause: &dyn std::error::Error = &error;
                tracing::error!(error = cause, "failed to store the first administrator");
                if !error.is_transient() {
                    return;
                }
            }
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(Duration::from_secs(10)),
        }
    }
}

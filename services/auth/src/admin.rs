//! The first administrator: what the platform's Secret says, at every start.
//!
//! The account is remembered as the Secret's, so that a changed name or address in the Secret changes
//! the account instead of making a second one. A changed password ends all its sessions. Were the
//! address registered by a person before, the account becomes the administrator's, with the Secret's
//! password: who writes the Secret owns the shop. No `user.registered` is said: nobody needs to be
//! welcomed, and the user room learns of the account when it is first asked for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chassis::{Binding, BindingError};
use tokio_util::sync::CancellationToken;
use vocabulary::UserId;

use crate::domain::account::{ADMIN, CUSTOMER, FieldError, Password, Registration};
use crate::hasher::HashError;
use crate::state::AppState;
use crate::store::accounts::{self, InsertError, NewAccount, StoredAdmin};
use crate::store::sessions::{self, RevokedReason};
use crate::store::{StoreError, failed};

/// What the Secret says.
pub struct FirstAdmin {
    username: String,
    email: String,
    password: String,
}

/// Why there is no administrator yet.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The Secret has a field that no account can have.
    #[error("the administrator's Secret is refused: {0}")]
    Secret(FieldError),
    /// The Secret lacks an entry.
    #[error(transparent)]
    Binding(#[from] BindingError),
    /// The name or the address belongs to somebody else.
    #[error("the administrator was not stored")]
    Insert(#[from] InsertError),
    /// The password could not be hashed.
    #[error("the administrator's password was not hashed")]
    Hash(#[from] HashError),
    /// The database did not do as asked.
    #[error("the administrator was not looked up")]
    Store(#[from] StoreError),
}

impl AdminError {
    /// True when waiting helps.
    fn passes(&self) -> bool {
        match self {
            Self::Hash(_) | Self::Store(_) | Self::Insert(InsertError::Store(_)) => true,
            Self::Secret(_) | Self::Binding(_) | Self::Insert(InsertError::Taken(_)) => false,
        }
    }
}

impl FirstAdmin {
    /// Reads the binding `admin`, and refuses what no account can have.
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
            AdminError::Secret(errors.into_iter().next().unwrap_or(FieldError {
                field: "admin",
                message: "is not an account",
            }))
        })
    }
}

/// What ensuring came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ensured {
    /// There was none.
    Created,
    /// It differed from the Secret.
    Updated,
    /// It was as the Secret says.
    Unchanged,
}

/// Makes the account what the Secret says. Safe to run again, and from many replicas at once.
pub async fn ensure(app: &AppState, admin: &FirstAdmin) -> Result<Ensured, AdminError> {
    let wanted = admin.registration()?;
    let roles = [ADMIN.to_owned(), CUSTOMER.to_owned()];
    let now = app.clock.now();
    let mut tx = app.pool.begin().await.map_err(failed("begin"))?;
    accounts::lock_admin(&mut tx).await?;
    let stored = accounts::find_admin(&mut tx, &wanted.email.key()).await?;
    let kept = kept_hash(app, &admin.password, stored.as_ref()).await?;
    let (password_hash, same_password) = match kept {
        Some(hash) => (hash, true),
        None => (app.hasher.turn().await?.hash(wanted.password).await?, false),
    };
    let account = NewAccount {
        id: match &stored {
            Some(stored) => stored.id,
            None => UserId::mint(now, &*app.entropy),
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
    tx.commit().await.map_err(failed("commit"))?;
    Ok(ensured)
}

/// The stored hash, when it is one of the Secret's password.
async fn kept_hash(
    app: &AppState,
    password: &str,
    stored: Option<&StoredAdmin>,
) -> Result<Option<String>, AdminError> {
    let Some(stored) = stored else {
        return Ok(None);
    };
    let attempt = Password::attempt(password);
    let turn = app.hasher.turn().await?;
    let compared = turn.compare(attempt, stored.password_hash.clone()).await?;
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

/// Ensures until it is done, then idles until shutdown; ends at once when the Secret can never be
/// right, which ends the process: a rollout with a bad Secret must not replace a working one.
pub async fn keep(
    app: AppState,
    admin: FirstAdmin,
    done: Arc<AtomicBool>,
    stop: CancellationToken,
) {
    let mut pause = Duration::from_millis(250);
    loop {
        match ensure(&app, &admin).await {
            Ok(ensured) => {
                tracing::info!(?ensured, "the first administrator is there");
                done.store(true, Ordering::Relaxed);
                return stop.cancelled().await;
            }
            Err(error) => {
                let cause: &dyn std::error::Error = &error;
                tracing::error!(error = cause, "no first administrator yet");
                if !error.passes() {
                    return;
                }
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(Duration::from_secs(10)),
        }
    }
}

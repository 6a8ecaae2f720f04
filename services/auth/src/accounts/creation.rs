//! How an account comes to be: at once, or when its address is confirmed.

use chassis::Problem;
use chrono::TimeDelta;
use events::{RegistrationRequested, UserRegistered};
use service::StoreError;

use super::pending_store;
use super::store::{self, InsertError, NewAccount};
use crate::opaque_token::OpaqueToken;
use crate::spec::SCHEMA;
use crate::state::AppState;
use crate::throttle::domain::{Limit, digest_of};
use crate::throttle::store as throttles;

/// Hours for which a code is valid.
const CODE_HOURS: i64 = 24;
/// Mails to one address that registrations cause, whoever asks for them.
const MAILS: Limit = Limit {
    count: 3,
    window_secs: 24 * 3600,
};

/// An account that was not created.
pub enum CreationError {
    /// Another account has its name or address.
    Insert(InsertError),
    /// Anything else.
    Other(Problem),
}

/// Creates an account, in the transaction of `conn`.
pub async fn create(
    app: &AppState,
    conn: &mut sqlx::PgConnection,
    new: &NewAccount<'_>,
) -> Result<(), CreationError> {
    store::insert(conn, new)
        .await
        .map_err(CreationError::Insert)?;
    let event = UserRegistered {
        user_id: new.id,
        username: new.username.0.to_owned(),
        email: new.email.0.to_owned(),
    };
    outbox::append(conn, SCHEMA, app.core.event_meta(new.created_at), &event)
        .await
        .map_err(|error| CreationError::Other(StoreError::from(error).into()))?;
    Ok(())
}

/// Keeps an account until its address is confirmed, and has a code sent there. The owner of an address that
/// has an account is told so instead; to whoever asks, both are the same.
pub async fn request(app: &AppState, new: &NewAccount<'_>, is_taken: bool) -> Result<(), Problem> {
    let code = OpaqueToken::random();
    let mut tx = app.core.begin().await?;
    let counter = format!("registration:address:{}", digest_of(&new.email.1));
    // No wait is answered: it would tell that others asked for the address.
    if throttles::take(&mut tx, &counter, MAILS, new.created_at).await? {
        let expires_at = new.created_at + TimeDelta::hours(CODE_HOURS);
        pending_store::insert(&mut tx, new, &code.digest(), expires_at).await?;
        let event = RegistrationRequested {
            user_id: new.id,
            email: new.email.0.to_owned(),
            code: (!is_taken).then(|| code.as_str().to_owned()),
        };
        outbox::append(&mut tx, SCHEMA, app.core.event_meta(new.created_at), &event)
            .await
            .map_err(StoreError::from)?;
    }
    app.core.commit(tx).await?;
    Ok(())
}

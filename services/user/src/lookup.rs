//! Finds a profile, also in the moment between a registration and its event: if the profile is missing,
//! auth is asked for the account, and the profile is stored as the event would store it.

use chassis::Problem;
use vocabulary::UserId;

use crate::domain::profile::Profile;
use crate::state::AppState;
use crate::store::profiles;

/// The profile of an account; none if there is no such account; 503 if auth does not answer.
pub async fn find(app: &AppState, id: UserId) -> Result<Option<Profile>, Problem> {
    let found = {
        let mut conn = app.core.acquire().await?;
        profiles::find(&mut conn, id).await?
    };
    if found.is_some() {
        return Ok(found);
    }
    // No connection is held while auth is asked.
    let account = app.accounts.find(id).await.map_err(|error| {
        app.metrics.read_through("failed");
        let error: &dyn std::error::Error = &error;
        tracing::warn!(error, "failed to get a missing profile from auth");
        Problem::unavailable(1).detail("The profile is not available yet: retry")
    })?;
    let Some(account) = account.filter(|account| account.id == id) else {
        app.metrics.read_through("unknown");
        return Ok(None);
    };
    app.metrics.read_through("found");
    let mut conn = app.core.acquire().await?;
    let now = app.core.now();
    profiles::insert_if_absent(&mut conn, id, &account.username, &account.email, now).await?;
    Ok(profiles::find(&mut conn, id).await?)
}

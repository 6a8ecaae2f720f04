//! A profile can be read the moment registration has answered, although the event that makes it is
//! still on its way: on a miss, auth is asked, and what it says is stored as the event would.

use chassis::Problem;
use vocabulary::UserId;

use crate::domain::profile::Profile;
use crate::state::AppState;
use crate::store::profiles;

/// The profile of an account; none when there is no such account; 503 when auth cannot tell.
pub async fn find(app: &AppState, id: UserId) -> Result<Option<Profile>, Problem> {
    let found = {
        let mut conn = app.acquire().await?;
        profiles::find(&mut conn, id)
            .await
            .map_err(|e| Problem::internal(&e))?
    };
    if found.is_some() {
        return Ok(found);
    }
    // No connection is held while auth is asked.
    let account = app.accounts.find(id).await.map_err(|error| {
        app.metrics
            .read_through
            .with_label_values(&["failed"])
            .inc();
        let error: &dyn std::error::Error = &error;
        tracing::warn!(error, "a profile is not there yet and auth does not tell");
        Problem::unavailable(1).detail("The profile is being made: come again")
    })?;
    let Some(account) = account.filter(|account| account.id == id) else {
        app.metrics
            .read_through
            .with_label_values(&["unknown"])
            .inc();
        return Ok(None);
    };
    app.metrics.read_through.with_label_values(&["found"]).inc();
    let mut conn = app.acquire().await?;
    let now = app.clock.now();
    profiles::insert_if_absent(&mut conn, id, &account.username, &account.email, now)
        .await
        .map_err(|e| Problem::internal(&e))?;
    profiles::find(&mut conn, id)
        .await
        .map_err(|e| Problem::internal(&e))
}

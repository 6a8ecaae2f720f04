//! `POST /v1/payments/webhooks/{provider}`: a provider reports what became of an operation. Public; the signature is checked.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use chassis::{Path, Problem};

use super::store;
use crate::attempts::execute::settle;
use crate::metrics::Received;
use crate::providers::NotificationError;
use crate::state::AppState;

/// The path of the route.
pub(crate) const PATH: &str = "/v1/payments/webhooks/{provider}";

pub(crate) async fn handler(
    State(app): State<AppState>,
    Path(provider): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, Problem> {
    let webhooks = app.providers.webhooks(&provider);
    let webhooks = webhooks.ok_or_else(Problem::not_found)?;
    let now = app.core.now();
    let verified = webhooks.verify(&headers, &body, now);
    let notification = verified.map_err(|error| rejected(&app, &provider, &error))?;
    let mut tx = app.core.begin().await?;
    let fresh = store::receive(&mut tx, &provider, &notification.event_id, now).await;
    if !fresh? {
        app.metrics.received(Received::Duplicate);
        return Ok(StatusCode::NO_CONTENT);
    }
    let settled = settle(&app, &mut tx, &notification.key, &notification.outcome).await?;
    app.core.commit(tx).await?;
    app.metrics.received(Received::Accepted);
    settled.report(&app, &notification.key, &notification.outcome);
    Ok(StatusCode::NO_CONTENT)
}

fn rejected(app: &AppState, provider: &str, error: &NotificationError) -> Problem {
    app.metrics.received(Received::Rejected);
    tracing::warn!(provider, %error, "notification rejected");
    match error {
        NotificationError::Signature => Problem::unauthenticated(),
        NotificationError::Malformed(reason) => Problem::new(
            StatusCode::BAD_REQUEST,
            "notification_malformed",
            "The notification is malformed",
        )
        .detail(reason.clone()),
    }
}

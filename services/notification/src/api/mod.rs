//! The route table.

mod list_notifications;
mod replay_notification;

use axum::Router;
use chassis::openapi_route;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use vocabulary::{EventId, MessageId};

use crate::state::AppState;
use crate::store::messages::Listed;

#[derive(OpenApi)]
#[openapi(
    info(title = "notification", description = "The mail: one message per event and recipient."),
    modifiers(&Bearer)
)]
struct Document;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("JWT")
            .build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    }
}

fn public() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(list_notifications::handler))
        .routes(routes!(replay_notification::handler))
}

/// The API.
pub fn router(app: AppState) -> Router {
    let (public, _) = public().split_for_parts();
    public
        .merge(openapi_route("notification", openapi()))
        .with_state(app)
}

/// The OpenAPI document, as it is committed and served.
pub fn openapi() -> String {
    let mut json = public()
        .into_openapi()
        .to_pretty_json()
        .expect("the document is JSON");
    json.push('\n');
    json
}

/// Where a message is.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    /// Waits.
    Queued,
    /// On its way.
    Sending,
    /// The mail server took it.
    Sent,
    /// Given up.
    Dead,
}

impl Status {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Dead => "dead",
        }
    }
}

/// A message, without its words.
#[derive(Serialize, ToSchema)]
pub(crate) struct NotificationView {
    /// Its id; also the local part of its Message-ID.
    id: MessageId,
    /// The event it tells of.
    event_id: EventId,
    /// welcome, order_placed, order_paid or order_cancelled.
    #[schema(example = "order_placed")]
    template: String,
    /// Language.
    #[schema(example = "en")]
    locale: String,
    /// To whom.
    recipient: String,
    /// Subject.
    subject: String,
    /// queued, sending, sent or dead.
    #[schema(example = "sent")]
    status: String,
    /// Attempts since it was queued.
    attempts: i32,
    /// Queued: not before. Sending: the claim ends.
    due_at: DateTime<Utc>,
    /// What went wrong last.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<String>,
    /// When it was written.
    created_at: DateTime<Utc>,
    /// When the mail server took it.
    #[serde(skip_serializing_if = "Option::is_none")]
    sent_at: Option<DateTime<Utc>>,
}

impl From<Listed> for NotificationView {
    fn from(message: Listed) -> Self {
        Self {
            id: message.id,
            event_id: message.event_id,
            template: message.template,
            locale: message.locale,
            recipient: message.recipient,
            subject: message.subject,
            status: message.status,
            attempts: message.attempts,
            due_at: message.due_at,
            last_error: message.last_error,
            created_at: message.created_at,
            sent_at: message.sent_at,
        }
    }
}

//! Messages as administrators see them.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use vocabulary::{EventId, MessageId};

use crate::deliveries::store::Listed;

/// Status of a message.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Waits for its next attempt.
    Queued,
    /// Is being sent.
    Sending,
    /// Accepted by the mail server.
    Sent,
    /// Given up after the last attempt.
    Dead,
}

impl Status {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Dead => "dead",
        }
    }
}

/// A message without its text.
#[derive(Serialize, ToSchema)]
pub struct NotificationView {
    /// Id of the message; also the local part of its Message-ID.
    id: MessageId,
    /// The event that caused it.
    event_id: EventId,
    /// confirm_address, address_taken, welcome, order_placed, order_paid or order_cancelled.
    #[schema(example = "order_placed")]
    template: String,
    /// Language tag.
    #[schema(example = "en")]
    locale: String,
    /// Address of the recipient.
    recipient: String,
    /// Subject line.
    subject: String,
    /// queued, sending, sent or dead.
    #[schema(example = "sent")]
    status: String,
    /// Attempts since it was queued.
    attempts: i32,
    /// Queued: earliest next attempt. Sending: expiry of the claim.
    due_at: DateTime<Utc>,
    /// Error of the last attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<String>,
    /// Instant of its creation.
    created_at: DateTime<Utc>,
    /// Instant of its acceptance by the mail server.
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

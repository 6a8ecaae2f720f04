//! The message of an event.

use outbox::HandlerError;
use sqlx::PgConnection;
use vocabulary::{EventId, MessageId};

use super::trigger::Trigger;
use crate::deliveries::store::{self, NewMessage};
use crate::state::AppState;
use crate::templates;

/// Renders and stores the message of an event.
pub async fn store(
    app: &AppState,
    conn: &mut PgConnection,
    event_id: EventId,
    trigger: Trigger,
) -> Result<(), HandlerError> {
    let mail = templates::render(&trigger, &app.shop).map_err(HandlerError::poison)?;
    let now = app.core.now();
    let message = NewMessage {
        id: MessageId::mint(now, &*app.core.entropy),
        event_id,
        template: trigger.template(),
        locale: app.shop.locale.as_str(),
        recipient: trigger.recipient(),
        subject: mail.subject,
        body_text: mail.text,
        body_html: mail.html,
        created_at: now,
    };
    if store::insert_once(conn, &message).await? {
        app.metrics
            .written
            .with_label_values(&[message.template])
            .inc();
    }
    Ok(())
}

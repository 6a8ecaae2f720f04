//! The events that this service consumes: each becomes one message, in the transaction that records the
//! event as consumed.

mod order_cancelled;
mod order_paid;
mod order_placed;
mod user_registered;

use events::{OrderCancelled, OrderPaid, OrderPlaced, UserRegistered};
use outbox::EffectError;
use service::Subscriptions;
use sqlx::PgConnection;
use vocabulary::{EventId, MessageId};

use super::trigger::Trigger;
use crate::deliveries::store::{self, NewMessage};
use crate::state::AppState;
use crate::templates;

/// Messages written in one transaction, at most. An effect locks nothing but the message that it writes.
const BATCH: usize = 32;

/// Every event of this service's durable consumer.
pub fn subscriptions(app: AppState) -> Subscriptions<AppState> {
    Subscriptions::new(crate::SPEC.name, app)
        .on::<UserRegistered>()
        .on::<OrderPlaced>()
        .on::<OrderPaid>()
        .on::<OrderCancelled>()
        .batch(BATCH)
}

/// Renders and stores the message of an event.
async fn store_message(
    app: &AppState,
    conn: &mut PgConnection,
    event_id: EventId,
    trigger: Trigger,
) -> Result<(), EffectError> {
    let mail = templates::render(&trigger, &app.shop).map_err(EffectError::poison)?;
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

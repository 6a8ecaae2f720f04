//! What this room hears: each event becomes one message, in the transaction that notes the event as
//! seen.

mod order_cancelled;
mod order_paid;
mod order_placed;
mod user_registered;

use events::{Event, EventType};
use outbox::{Handler, HandlerError};
use sqlx::PgConnection;
use vocabulary::MessageId;

use crate::domain::occasion::Occasion;
use crate::state::AppState;
use crate::store::StoreError;
use crate::store::messages::{self, NewMessage};

/// Hears what people should be told.
pub struct Listener {
    app: AppState,
}

impl Listener {
    /// A listener of a process.
    pub fn new(app: &AppState) -> Self {
        Self { app: app.clone() }
    }

    async fn write(
        &self,
        conn: &mut PgConnection,
        event: &Event,
        occasion: Occasion,
    ) -> Result<(), HandlerError> {
        let shop = &*self.app.shop;
        let letter = occasion.letter(shop).map_err(HandlerError::poison)?;
        let now = self.app.clock.now();
        let message = NewMessage {
            id: MessageId::mint(now, &*self.app.entropy),
            event_id: event.id,
            template: occasion.template(),
            locale: shop.locale.as_str(),
            recipient: occasion.recipient(),
            body_text: letter.text(shop),
            body_html: letter.html(shop),
            subject: letter.subject,
            created_at: now,
        };
        if messages::insert_once(conn, &message).await? {
            self.app
                .metrics
                .written
                .with_label_values(&[message.template])
                .inc();
        }
        Ok(())
    }
}

impl Handler for Listener {
    fn consumer(&self) -> &'static str {
        "notification"
    }

    fn event_types(&self) -> &'static [EventType] {
        &[
            EventType::UserRegistered,
            EventType::OrderPlaced,
            EventType::OrderPaid,
            EventType::OrderCancelled,
        ]
    }

    async fn handle(&self, conn: &mut PgConnection, event: &Event) -> Result<(), HandlerError> {
        match event.ty {
            EventType::UserRegistered => user_registered::apply(self, conn, event).await,
            EventType::OrderPlaced => order_placed::apply(self, conn, event).await,
            EventType::OrderPaid => order_paid::apply(self, conn, event).await,
            EventType::OrderCancelled => order_cancelled::apply(self, conn, event).await,
            // Nothing else was asked for.
            EventType::PaymentAuthorised
            | EventType::PaymentCaptured
            | EventType::PaymentVoided
            | EventType::PaymentRefunded
            | EventType::PaymentFailed
            | EventType::StockLow => Ok(()),
        }
    }

    // An effect locks nothing but the message that it writes.
    fn batch_size(&self) -> usize {
        32
    }
}

impl From<StoreError> for HandlerError {
    fn from(error: StoreError) -> Self {
        tracing::warn!(query = error.query, "an effect failed");
        error.source.into()
    }
}

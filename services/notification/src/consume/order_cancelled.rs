//! `order.cancelled.v1`: a cancellation is confirmed.

use events::Event;
use outbox::HandlerError;
use sqlx::PgConnection;

use super::Listener;
use crate::domain::occasion::Occasion;

pub(super) async fn apply(
    listener: &Listener,
    conn: &mut PgConnection,
    event: &Event,
) -> Result<(), HandlerError> {
    listener
        .write(conn, event, Occasion::OrderCancelled(event.payload()?))
        .await
}

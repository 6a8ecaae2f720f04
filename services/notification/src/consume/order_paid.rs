//! `order.paid.v1`: a payment is acknowledged.

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
        .write(conn, event, Occasion::OrderPaid(event.payload()?))
        .await
}

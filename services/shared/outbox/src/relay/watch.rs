//! Rows whose receipts are late: still on their way, or to be published again?

use std::collections::HashMap;
use std::time::Duration;

use async_nats::jetstream::stream::{RawMessageErrorKind, Stream};
use events::EventType;
use sqlx::PgConnection;
use uuid::Uuid;

use super::rows::{self, Overdue};
use crate::bus::{Bus, acknowledged_to, ensure_stream};
use crate::error::{DoingOnBus, OutboxError};
use crate::leader::timed;
use crate::schema::Schema;

/// How far a consumer has come; none if it does not exist.
type Floor = Option<i64>;

/// Settles the overdue rows. A row is published again if a consumer that should have heard it
/// exists, and either has passed it or could not get it any more. A consumer that does not exist yet
/// is waited for: its service makes it when it starts.
pub async fn overdue(
    conn: &mut PgConnection,
    bus: &Bus,
    schema: Schema,
    grace: Duration,
) -> Result<(), OutboxError> {
    let late = timed("read overdue rows", rows::overdue(conn, schema, grace)).await?;
    if late.is_empty() {
        return Ok(());
    }
    let stream = ensure_stream(bus).await?;
    let mut floors = HashMap::new();
    let (mut again, mut wait) = (Vec::new(), Vec::new());
    for row in &late {
        if must_repeat(&stream, &mut floors, row).await? {
            again.push(row.event_id);
        } else {
            wait.push(row.event_id);
        }
    }
    if !again.is_empty() {
        tracing::info!(
            rows = again.len(),
            "no receipts and not on their way: publishing again"
        );
    }
    timed(
        "settle overdue rows",
        rows::settle(conn, schema, &again, &wait),
    )
    .await
}

async fn must_repeat(
    stream: &Stream,
    floors: &mut HashMap<&'static str, Floor>,
    row: &Overdue,
) -> Result<bool, OutboxError> {
    // A type of a newer build: its own relay will settle it.
    let Ok(ty) = row.ty.parse::<EventType>() else {
        return Ok(false);
    };
    let missing = ty
        .consumers()
        .iter()
        .filter(|name| !row.receipts.iter().any(|has| has == *name));
    let mut someone_listens = false;
    for name in missing {
        let floor = match floors.get(name) {
            Some(floor) => *floor,
            None => *floors
                .entry(name)
                .or_insert(acknowledged_to(stream, name).await?),
        };
        match floor {
            Some(floor) if floor >= row.stream_seq => return Ok(true),
            Some(_) => someone_listens = true,
            None => {}
        }
    }
    Ok(someone_listens && !holds(stream, row).await?)
}

/// True if the stream still has this event at the recorded place.
async fn holds(stream: &Stream, row: &Overdue) -> Result<bool, OutboxError> {
    let seq = u64::try_from(row.stream_seq).unwrap_or(0);
    match stream.get_raw_message(seq).await {
        Ok(message) => {
            let id = message.headers.get(async_nats::header::NATS_MESSAGE_ID);
            Ok(id.is_some_and(|id| is_of(id.as_str(), row.event_id)))
        }
        Err(error) if matches!(error.kind(), RawMessageErrorKind::NoMessageFound) => Ok(false),
        Err(error) => Err(error).on_bus("look for a message"),
    }
}

fn is_of(message_id: &str, event_id: Uuid) -> bool {
    let bare = message_id
        .split_once('.')
        .map_or(message_id, |(bare, _)| bare);
    bare == event_id.to_string()
}

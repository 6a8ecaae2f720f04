//! Rows whose receipts are late: still on their way, or to be published again?

use std::collections::HashMap;
use std::time::Duration;

use bus::{Offsets, Transport};
use events::EventType;
use sqlx::PgConnection;

use super::rows::{self, Overdue};
use crate::error::OutboxError;
use crate::lock::timed;
use crate::schema::Schema;

/// How far each consumer has acknowledged; none for one that does not exist.
type Acknowledged = HashMap<&'static str, Option<Offsets>>;

/// Settles the overdue rows. A row is published again if a consumer whose receipt is missing exists, and
/// either has passed it or could not get it any more. A consumer that does not exist yet is waited for:
/// its service creates it when it starts.
pub async fn settle(
    conn: &mut PgConnection,
    bus: &dyn Transport,
    schema: Schema,
    grace: Duration,
) -> Result<(), OutboxError> {
    let late = timed("read overdue rows", rows::overdue(conn, schema, grace)).await?;
    if late.is_empty() {
        return Ok(());
    }
    let mut acknowledged = HashMap::new();
    let (mut again, mut wait) = (Vec::new(), Vec::new());
    for row in &late {
        if must_repeat(bus, &mut acknowledged, row).await? {
            again.push(row.event_id);
        } else {
            wait.push(row.event_id);
        }
    }
    if !again.is_empty() {
        tracing::info!(
            rows = again.len(),
            "no receipts, and no longer on their way: publishing again"
        );
    }
    let settle = rows::settle(conn, schema, &again, &wait);
    timed("settle overdue rows", settle).await
}

async fn must_repeat(
    bus: &dyn Transport,
    acknowledged: &mut Acknowledged,
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
    let mut is_expected = false;
    for name in missing {
        if !acknowledged.contains_key(name) {
            acknowledged.insert(name, bus.acknowledged(name).await?);
        }
        match acknowledged.get(name) {
            Some(Some(offsets)) if offsets.include(row.position()) => return Ok(true),
            Some(Some(_)) => is_expected = true,
            Some(None) | None => {}
        }
    }
    Ok(is_expected && !bus.holds(row.position(), &row.event_id.to_string()).await?)
}

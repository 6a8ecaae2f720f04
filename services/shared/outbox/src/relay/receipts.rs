//! Receipts: small messages outside of the stream. Losing one costs a repetition, not a fact.

use std::time::Duration;

use async_nats::{Message, Subscriber};
use events::EventType;
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Receipts written at once.
const BATCH: usize = 512;
/// How long a batch is waited for: one write for many receipts.
const LINGER: Duration = Duration::from_millis(20);

/// A consumer has heard an event: its effect, or its dead letter, is committed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    pub event_id: Uuid,
    pub consumer: String,
}

/// Who must hear a type, joined by commas.
pub struct Expected {
    pub ty: &'static str,
    pub consumers: String,
}

/// Where the receipts for a producer's events go.
pub fn subject(producer: &str) -> String {
    format!("receipts.{producer}")
}

/// Who must hear what a producer says.
pub fn expected(producer: &str) -> Vec<Expected> {
    let said = EventType::ALL.iter().filter(|ty| ty.producer() == producer);
    said.map(|ty| Expected {
        ty: ty.as_str(),
        consumers: ty.consumers().join(","),
    })
    .collect()
}

/// Takes what has arrived, and what arrives in the next moment.
pub async fn collect(first: Message, more: &mut Subscriber) -> Vec<Receipt> {
    let mut batch = Vec::new();
    batch.extend(read(&first));
    let fill = async {
        while batch.len() < BATCH {
            let Some(message) = more.next().await else {
                return;
            };
            batch.extend(read(&message));
        }
    };
    // The time is up more often than the batch is full.
    let _ = tokio::time::timeout(LINGER, fill).await;
    batch
}

/// Anything else on the subject is ignored.
fn read(message: &Message) -> Option<Receipt> {
    serde_json::from_slice(&message.payload).ok()
}

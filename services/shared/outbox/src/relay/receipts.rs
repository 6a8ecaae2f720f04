//! Receipts: small messages outside of the stream. Losing one costs a repetition, not a fact.

use async_nats::Message;
use events::EventType;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Receipts written at once, give or take a message.
pub const BATCH: usize = 512;

/// A consumer has heard an event: its effect, or its dead letter, is committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    pub event_id: Uuid,
    pub consumer: String,
}

/// On the wire: what a consumer has heard of one producer.
#[derive(Debug, Serialize, Deserialize)]
pub struct Heard {
    pub consumer: String,
    pub event_ids: Vec<Uuid>,
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

/// The receipts in a message; anything else on the subject is ignored.
pub fn read(message: &Message) -> Vec<Receipt> {
    let Ok(Heard {
        consumer,
        event_ids,
    }) = serde_json::from_slice(&message.payload)
    else {
        return Vec::new();
    };
    let receipt = |event_id| Receipt {
        event_id,
        consumer: consumer.clone(),
    };
    event_ids.into_iter().map(receipt).collect()
}

//! Receipts: small messages beside the stream. Losing one costs a repetition, not a fact.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::routing::published_by;

/// Receipts written at once, give or take a message.
pub const BATCH: usize = 512;

/// A consumer is done with an event: its effect, or its dead letter, is committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    pub event_id: Uuid,
    pub consumer: String,
}

/// On the wire: the events of one producer that a consumer is done with.
#[derive(Debug, Serialize, Deserialize)]
pub struct Receipts {
    pub consumer: String,
    pub event_ids: Vec<Uuid>,
}

/// The consumers of a type, joined by commas.
pub struct Expected {
    pub ty: &'static str,
    pub consumers: String,
}

/// The receipts that a producer waits for.
pub fn expected(producer: &str) -> Vec<Expected> {
    let types = published_by(producer).map(|ty| Expected {
        ty: ty.as_str(),
        consumers: ty.consumers().join(","),
    });
    types.collect()
}

/// The receipts in a message; anything else is ignored.
pub fn read(message: &[u8]) -> Vec<Receipt> {
    let Ok(Receipts {
        consumer,
        event_ids,
    }) = serde_json::from_slice(message)
    else {
        return Vec::new();
    };
    let receipt = |event_id| Receipt {
        event_id,
        consumer: consumer.clone(),
    };
    event_ids.into_iter().map(receipt).collect()
}

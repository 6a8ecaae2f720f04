//! Publishes a batch: aggregates side by side, each aggregate's events one after another.

use std::collections::HashMap;

use bus::{Outgoing, Transport};
use events::EventType;
use futures::StreamExt;
use futures::stream;
use uuid::Uuid;

use super::rows::{Mark, Pending};
use crate::error::OutboxError;
use crate::spans;

/// What became of a batch.
pub struct Outcome {
    pub marks: Vec<Mark>,
    /// The first failure, if any; its aggregate's later rows were not tried.
    pub error: Option<OutboxError>,
}

pub async fn batch(bus: &dyn Transport, batch: Vec<Pending>, in_flight: usize) -> Outcome {
    let chains = stream::iter(chains(batch)).map(|chain| publish_chain(bus, chain));
    let results: Vec<Outcome> = chains.buffer_unordered(in_flight).collect().await;
    let mut all = Outcome {
        marks: Vec::new(),
        error: None,
    };
    for result in results {
        all.marks.extend(result.marks);
        all.error = all.error.or(result.error);
    }
    all
}

/// Splits rows by aggregate; inside an aggregate positions stay in order.
fn chains(batch: Vec<Pending>) -> Vec<Vec<Pending>> {
    let mut index = HashMap::new();
    let mut chains: Vec<Vec<Pending>> = Vec::new();
    for row in batch {
        let at = *index.entry(row.aggregate.clone()).or_insert(chains.len());
        match chains.get_mut(at) {
            Some(chain) => chain.push(row),
            None => chains.push(vec![row]),
        }
    }
    chains
}

async fn publish_chain(bus: &dyn Transport, chain: Vec<Pending>) -> Outcome {
    let mut marks = Vec::with_capacity(chain.len());
    for row in chain {
        match publish_row(bus, row).await {
            Ok(mark) => marks.push(mark),
            // The next row must not overtake this one.
            Err(error) => {
                return Outcome {
                    marks,
                    error: Some(error),
                };
            }
        }
    }
    Outcome { marks, error: None }
}

async fn publish_row(bus: &dyn Transport, row: Pending) -> Result<Mark, OutboxError> {
    let mut span = spans::send(bus, &row);
    let published = bus
        .publish(Outgoing {
            event_type: &row.ty,
            key: &row.aggregate,
            dedupe_id: &dedupe_id(row.event_id, row.attempts),
            traceparent: row.traceparent.as_deref(),
            body: &row.body,
        })
        .await;
    if let Some(span) = &mut span {
        spans::ended(span, published.as_ref().err().map(|_| "bus"));
    }
    let ty = row.ty.parse::<EventType>();
    Ok(Mark {
        event_id: row.event_id,
        published: published?,
        unconsumed: ty.is_ok_and(|ty| ty.consumers().is_empty()),
    })
}

/// An attempt whose acknowledgement was lost keeps its id, so that the bus may drop the second; a row that
/// is published again on purpose gets another, so that the bus does not drop it.
fn dedupe_id(event_id: Uuid, attempts: i32) -> String {
    if attempts == 0 {
        event_id.to_string()
    } else {
        format!("{event_id}.{attempts}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(aggregate: &str, attempts: i32) -> Pending {
        Pending {
            event_id: Uuid::nil(),
            ty: "order.placed.v1".to_owned(),
            aggregate: aggregate.to_owned(),
            body: String::new(),
            traceparent: None,
            attempts,
        }
    }

    #[test]
    fn an_aggregate_keeps_its_order_in_one_chain() {
        let chains = chains(vec![
            row("a", 1),
            row("b", 2),
            row("a", 3),
            row("c", 4),
            row("a", 5),
        ]);
        let order: Vec<Vec<i32>> = chains
            .iter()
            .map(|chain| chain.iter().map(|row| row.attempts).collect())
            .collect();
        assert_eq!(order, [vec![1, 3, 5], vec![2], vec![4]]);
    }

    #[test]
    fn only_a_deliberate_repetition_gets_another_id() {
        assert_eq!(dedupe_id(Uuid::nil(), 0), Uuid::nil().to_string());
        assert_ne!(dedupe_id(Uuid::nil(), 1), dedupe_id(Uuid::nil(), 2));
    }
}

//! The events that this service consumes.

mod order_cancelled;
mod order_placed;

use events::{OrderCancelled, OrderPlaced};
use service::Subscriptions;

use crate::spec::SPEC;
use crate::state::AppState;

/// A handler locks its payment and nothing else, so events of different orders can share a transaction.
const BATCH: usize = 32;

/// Every event of this service's durable consumer.
pub fn subscriptions(app: AppState) -> Subscriptions<AppState> {
    Subscriptions::new(&SPEC, app)
        .on::<OrderPlaced>()
        .on::<OrderCancelled>()
        .batch(BATCH)
}

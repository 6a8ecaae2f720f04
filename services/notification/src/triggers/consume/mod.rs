//! The events that this service consumes: each becomes one message, in the transaction that records the
//! event as consumed.

mod order_cancelled;
mod order_paid;
mod order_placed;
mod registration_requested;
mod user_registered;

use events::{OrderCancelled, OrderPaid, OrderPlaced, RegistrationRequested, UserRegistered};
use service::Subscriptions;

use crate::spec::SPEC;
use crate::state::AppState;

/// Messages written in one transaction, at most. A handler locks nothing but the message that it writes.
const BATCH: usize = 32;

/// Every event of this service's durable consumer.
pub fn subscriptions(app: AppState) -> Subscriptions<AppState> {
    Subscriptions::new(&SPEC, app)
        .on::<UserRegistered>()
        .on::<RegistrationRequested>()
        .on::<OrderPlaced>()
        .on::<OrderPaid>()
        .on::<OrderCancelled>()
        .batch(BATCH)
}

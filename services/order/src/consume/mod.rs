//! The events that this service consumes.

mod locked;
mod payment_authorised;
mod payment_captured;
mod payment_failed;

use events::{PaymentAuthorised, PaymentCaptured, PaymentFailed};
use service::Subscriptions;

use crate::spec::SPEC;
use crate::state::AppState;

/// An effect locks one order, or one checkout that nobody writes, and nothing else.
const BATCH: usize = 32;

/// Every event of this service's durable consumer.
pub fn subscriptions(app: AppState) -> Subscriptions<AppState> {
    Subscriptions::new(&SPEC, app)
        .on::<PaymentAuthorised>()
        .on::<PaymentCaptured>()
        .on::<PaymentFailed>()
        .batch(BATCH)
}

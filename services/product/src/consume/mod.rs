//! The events that this service consumes.

mod order_cancelled;

use events::OrderCancelled;
use service::Subscriptions;

use crate::spec::SPEC;
use crate::state::AppState;

/// Every event of this service's durable consumer.
pub fn subscriptions(app: AppState) -> Subscriptions<AppState> {
    Subscriptions::new(&SPEC, app).on::<OrderCancelled>()
}

//! The seam between the saga and HTTP: the saga stores a response that it does not know how to write.

use outbox::idempotency::Answer;

use crate::checkout::domain::Refusal;
use crate::orders::domain::Order;

/// What the client of a checkout learns.
#[derive(Debug, Clone, Copy)]
pub enum Outcome<'a> {
    /// The order, placed or awaiting its payment.
    Order(&'a Order),
    /// There is no order.
    Refused(&'a Refusal),
}

/// Writes the response that is stored under the idempotency key and replayed byte for byte.
pub trait Render: Send + Sync {
    fn response(&self, outcome: Outcome<'_>) -> Result<Answer, serde_json::Error>;
}

//! The state machine of the checkout. [`decide`] is all there is of it: the driver executes it, and the property tests do.

mod checkout;
mod decide;
mod quote;
mod refusal;
mod retry;
mod stage;
mod steps;

pub use checkout::{Checkout, Persisted};
pub use decide::{Answer, Step, Unexpected, Write, decide, resume};
pub use quote::Quote;
pub use refusal::{ItemFault, Reason, Refusal};
pub use stage::Stage;
pub use steps::{Effect, STEPS, Undo};

#[cfg(test)]
mod decide_tests;
#[cfg(test)]
mod model_tests;

//! What an order is and what it may become.

mod line;
mod next_action;
mod order;
mod stage;

pub use line::Line;
pub use next_action::NextAction;
pub use order::{Change, NotPlaced, Order};
pub use stage::Stage;

#[cfg(test)]
mod tests;

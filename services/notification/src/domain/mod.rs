//! Pure decisions: what a message says, and when it is tried again.

pub mod amount;
pub mod delivery;
pub mod letter;
pub mod occasion;
pub mod phrases;

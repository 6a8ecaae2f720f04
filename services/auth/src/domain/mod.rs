//! Pure decisions: what a valid account is, what a token says, how long a guesser waits.

pub mod account;
pub mod password;
pub mod refresh;
pub mod signing;
pub mod throttle;

//! Decisions about payments: no database, no HTTP, no clock.
//!
//! A request ([`request`]) opens operations, a provider's answer ([`answer`]) closes them. Both are decided here and written
//! by `store` as one commit.

pub mod answer;
pub mod attempt;
pub mod operation;
pub mod request;
pub mod step;

#[cfg(test)]
mod tests;

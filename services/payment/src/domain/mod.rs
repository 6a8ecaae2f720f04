//! Pure decisions about money: no database, no HTTP, no clock.

pub mod ledger;
pub mod payment;
pub mod provider;

#[cfg(test)]
mod tests;

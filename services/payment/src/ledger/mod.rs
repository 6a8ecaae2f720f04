//! The double-entry ledger.

pub mod domain;

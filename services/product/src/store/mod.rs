//! SQL: rows decode to domain types, or the error names the row.

pub mod catalogue;
pub mod reservations;
pub mod search;

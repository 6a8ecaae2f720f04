//! SQL.

pub mod profiles;

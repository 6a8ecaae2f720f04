//! SQL, and nothing but SQL.

pub mod queue;
pub mod read;
pub mod write;

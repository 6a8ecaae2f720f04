//! SQL of checkouts.

pub mod checkouts;
pub mod record;

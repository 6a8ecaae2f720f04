//! Who may call a route, and how often.

pub mod issuers;
pub mod jwt;
pub mod rate_limit;

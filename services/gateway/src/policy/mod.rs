//! Who may pass, and how often.

pub mod jwks;
pub mod jwt;
pub mod rate_limit;

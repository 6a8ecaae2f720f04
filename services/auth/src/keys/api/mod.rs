//! Endpoints of keys.

pub mod get_jwks;

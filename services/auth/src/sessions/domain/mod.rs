//! Decisions: which refresh token is accepted, how long a failed login waits.

pub mod refresh_token;

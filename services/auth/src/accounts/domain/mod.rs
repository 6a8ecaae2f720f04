//! Decisions: what a valid account is, how a password is hashed.

pub mod account;
pub mod password;

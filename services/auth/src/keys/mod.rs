//! Signing keys.

pub mod api;
pub mod binding;
pub mod domain;

//! Decisions.

pub mod profile;

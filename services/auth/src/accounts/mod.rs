//! Accounts: names, addresses, password hashes, roles.

pub mod api;
pub mod creation;
pub mod domain;
pub mod hasher;
pub mod pending_store;
pub mod registrations;
pub mod store;

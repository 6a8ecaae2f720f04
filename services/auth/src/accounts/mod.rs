//! Accounts: names, addresses, password hashes, roles.

pub mod api;
pub mod domain;
pub mod hasher;
pub mod registrations;
pub mod store;

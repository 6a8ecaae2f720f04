//! The API on a real PostgreSQL and a real Redis.

mod catalogue;
mod document;
mod reservations;
mod support;

//! Notifications of providers: received once each, and settled as answers to our own calls are.

pub(crate) mod api;
mod store;
pub mod sweep;

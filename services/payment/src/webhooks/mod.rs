//! Notifications of providers: received once each, and settled as answers to our own calls are.

pub(crate) mod api;
pub(crate) mod store;

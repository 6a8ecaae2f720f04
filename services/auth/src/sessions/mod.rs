//! Sessions: logins, refresh tokens, throttling of failed logins.

pub mod api;
pub mod domain;
pub mod failed_logins;
pub mod store;
pub mod sweep;

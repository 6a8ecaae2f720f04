//! Messages on their way to their recipients.

pub mod api;
pub mod housekeeping;
pub mod retry;
pub mod sender;
pub mod store;

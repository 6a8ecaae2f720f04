//! Orders over HTTP.

pub mod cancel_order;
pub mod get_order;
pub mod list_orders;
pub mod view;

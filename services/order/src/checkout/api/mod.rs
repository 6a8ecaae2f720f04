//! The checkout over HTTP.

pub mod place_order;
pub mod response;

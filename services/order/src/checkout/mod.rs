//! The checkout: a saga that turns a cart into an order, or into nothing at all.

pub mod api;
pub mod cancel;
pub mod commit;
pub mod domain;
pub mod drive;
mod effects;
pub mod render;
pub mod resume;
pub mod store;

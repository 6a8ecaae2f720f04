//! Pure decisions: what a product may look like, and how much of it may be reserved.

pub mod import;
pub mod listing;
pub mod reservation;
pub mod stock;

#[cfg(test)]
mod import_tests;
#[cfg(test)]
mod reservation_tests;

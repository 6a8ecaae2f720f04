//! Pure decisions: what a product may look like, and how much of it may be promised.

pub mod import;
pub mod listing;
pub mod stock;

#[cfg(test)]
mod import_tests;
#[cfg(test)]
mod stock_tests;

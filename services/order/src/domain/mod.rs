//! Pure decisions: when a checkout becomes an order, and what an order may become.

pub mod cart;
pub mod checkout;
pub mod order;

#[cfg(test)]
mod checkout_tests;
#[cfg(test)]
mod order_tests;

#![doc = include_str!("../README.md")]

use std::fmt::Display;

pub mod accounts;
#[cfg(feature = "test-cases")]
pub mod cases;
pub mod payments;
mod problem;
pub mod reservations;
pub mod users;

pub use problem::{FieldProblem, LookupProblem, Problem};

/// The path of a route template with its one variable filled in.
fn path(template: &str, id: impl Display) -> String {
    template.replace("{id}", &id.to_string())
}

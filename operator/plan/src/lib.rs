#![doc = include_str!("../README.md")]

pub mod conditions;
pub mod database_binding;
pub mod gateway;
pub mod hash;
pub mod names;
mod network;
pub mod objects;
mod pods;
pub mod service_deployment;
pub mod storefront;
mod tracing;
pub mod trouble;
mod verdict;

pub use objects::{Applied, Mode, ObjectKey, Objects, Planned};
pub use verdict::{Invalid, Outcome, Platform, Verdict, Waiting};

#![doc = include_str!("../README.md")]

mod cycles;
mod load;
mod paths;
mod resolve;

pub use cycles::{Cycle, cycles};
pub use load::Crate;
pub use resolve::Dependency;

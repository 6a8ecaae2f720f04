#![doc = include_str!("../README.md")]

mod answer;
mod backing;
mod clients;
pub mod conditions;
pub mod creating;
pub mod database_binding;
mod derive;
pub mod gateway;
pub mod hash;
pub mod in_use;
mod job;
pub mod key;
pub mod leaving;
mod live;
pub mod names;
mod network;
pub mod objects;
mod own_secret;
pub mod podless;
mod pods;
pub mod probe;
pub mod quote;
mod readiness;
mod release;
mod resources;
pub mod scaling;
pub mod service_deployment;
mod settings;
pub mod size;
pub mod storefront;
mod tracing;
pub mod trouble;
mod verdict;

pub use live::{Live, Readable};
pub use objects::{Applied, Mode, ObjectKey, Objects, Planned};
pub use verdict::{Invalid, Outcome, Platform, Verdict, Waiting};

#![doc = include_str!("../README.md")]

mod activity;
mod key;
mod named;
mod scope;
mod sent;
mod status;
mod store;
mod watch;

pub use activity::Activity;
pub use key::Key;
pub use named::NamedWatches;
pub use scope::Scope;
pub use sent::Sent;
pub use status::{State, WatchStatus};
pub use store::{Cached, Change, Decoded, Full, Owner, Source, Store, decode_whole};
pub use watch::{Callbacks, OnChange, Watch};

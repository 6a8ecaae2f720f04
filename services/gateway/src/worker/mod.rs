//! Workers: one thread each with a runtime, listening sockets and backend connections of its own, so that a
//! request never changes threads.

mod accept;
mod client_stream;
mod head_timer;
mod held_stream;
mod listeners;
mod shared;
mod stall;

pub use listeners::run;
pub use shared::{Phase, Shared};

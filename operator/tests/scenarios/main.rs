//! Stories of the operator on a cluster in memory.
#![expect(
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a story that cannot be told has failed"
)]

mod caches;
mod certificates;
mod claims;
mod contract;
mod drift;
mod events;
mod fake;
mod faults;
mod held;
mod leading;
mod life;
mod measured;
mod policies;
mod requests;
mod room;
mod secrets;
mod trouble;
mod updates;
mod upgrade;
mod volumes;
mod watches;
mod world;

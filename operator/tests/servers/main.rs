//! The configuration that is planned for the bus and the cache, on real servers: what each workload may do
//! there, and what it may not.
#![expect(clippy::expect_used, reason = "a story that cannot be told has failed")]

mod bus_users;
mod cache_users;
mod plan;

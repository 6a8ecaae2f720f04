//! The data plane over real sockets: real backends, real certificates, objects pushed in by hand.

#![expect(
    clippy::disallowed_methods,
    reason = "tests have no drain that would have to wait for what they spawn, and their clock is the real one"
)]
#![expect(
    clippy::needless_pass_by_value,
    reason = "objects written in place read better without a reference"
)]

mod churn;
mod drain;
mod endings;
mod filters;
mod framing;
mod hops;
mod key_sets;
mod limits;
mod listeners;
mod proxying;
mod refusals;
mod support;
mod timeouts;
mod tls;
mod tokens;
mod upgrade;
mod watch;

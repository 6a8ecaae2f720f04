//! The data plane over real sockets: real backends, real certificates, objects pushed in by hand.

mod churn;
mod drain;
mod filters;
mod framing;
mod limits;
mod listeners;
mod proxying;
mod support;
mod timeouts;
mod tls;
mod tokens;
mod upgrade;

//! DatabaseBinding: a database, its roles and a Secret, made on a PostgreSQL server over SQL.
//!
//! [`reconcile`] tells the story. What should exist is decided by
//! [`operator_plan::database_binding`]; this room asks the server, runs what is missing in the safe
//! order, and knows when to stop asking. Every statement goes through [`server::Session`].

mod desk;
mod ending;
pub mod error;
mod observe;
mod provision;
pub mod reclaim;
mod reconcile;
mod rotate;
pub mod scram;
mod secret;
pub mod server;

pub use error::{ServerError, reason};
pub use observe::current;
pub use reconcile::reconcile;
pub use server::{Endpoint, PgServers, Rows, Servers, Session};

/// The kind, as metrics and memory know it.
const KIND: &str = "DatabaseBinding";

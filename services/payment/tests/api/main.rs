//! Payments through the router, on a real PostgreSQL.

mod http;
mod ledger;
mod listening;
mod openapi;
mod support;

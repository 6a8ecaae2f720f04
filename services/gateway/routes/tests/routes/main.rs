//! Objects in, table and conditions out.

mod backend_tls;
mod certificates;
mod conditions;
mod endpoints;
mod listeners;
mod own;
mod policies;
mod precedence;
mod support;

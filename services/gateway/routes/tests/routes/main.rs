//! Objects in, table and conditions out.

mod conditions;
mod listeners;
mod policies;
mod precedence;
mod support;

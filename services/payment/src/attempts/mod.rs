//! Payment attempts: the state machine, its tables, and what executes its steps.

pub mod domain;
pub mod store;

pub(crate) mod api;
pub(crate) mod execute;
pub(crate) mod operate;
mod publish;
pub(crate) mod worker;

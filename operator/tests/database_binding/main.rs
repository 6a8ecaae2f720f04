//! DatabaseBinding over a real PostgreSQL: scenarios, and the operator killed at every call.

mod api;
mod chaos;
mod endings;
mod kill;
mod life;
mod postgres;
mod scenarios;
mod world;

//! DatabaseBinding over a real PostgreSQL: scenarios, and the operator killed at every call.

mod api;
mod chaos;
mod checks;
mod dump;
mod endings;
mod grants;
mod held;
mod image;
mod kill;
mod life;
mod losses;
mod postgres;
mod rights;
mod rotation;
mod rotation_ends;
mod scenarios;
mod world;

//! The chassis from outside: through routers and sockets.

mod api;
mod drain;
mod process;
mod tokens;

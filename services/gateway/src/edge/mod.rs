//! One request from its first byte to its last.

mod connection;
mod exchange;
mod forward;
mod handle;
mod head;
mod headers;
mod limits;
mod refusal;
mod request_id;
mod response_body;
mod route;
mod series;
mod state;
mod upgrade;

pub use connection::Connection;
pub use handle::handle;
pub use state::{Resources, WorkerState};

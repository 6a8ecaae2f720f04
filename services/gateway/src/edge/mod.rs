//! One request from its first byte to its last.

mod body;
mod exchange;
mod forward;
mod handle;
mod head;
mod headers;
mod upgrade;

pub use body::{RequestBody, ResponseBody};
pub use exchange::Exchange;
pub use handle::{Connection, handle};

//! One request from its first byte to its last.

mod connection;
mod conversation;
mod exchange;
mod forward;
mod handle;
mod head;
mod headers;
mod https;
mod limits;
mod parser;
mod refusal;
mod request_id;
mod response_body;
mod route;
mod series;
mod state;
mod upgrade;
mod visitor;
mod waiting;

pub use connection::Connection;
pub use conversation::Conversation;
pub use handle::handle;
pub use parser::{head_too_late, record as record_refused, replacement as parser_refusal};
pub use request_id::RequestIds;
pub use state::{Resources, WorkerState};

//! What is known about a client's connection.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use super::conversation::Conversation;
use super::state::WorkerState;

#[derive(Debug)]
pub struct Connection {
    pub worker: Rc<WorkerState>,
    /// The address at the other end: the client, or a proxy in front of the gateway.
    pub peer: IpAddr,
    /// The listeners' port, as clients see it.
    pub port: u16,
    pub is_tls: bool,
    /// The listener whose certificate was presented.
    pub listener: Option<Box<str>>,
    /// What its stream has to know of its requests.
    pub conversation: Arc<Conversation>,
}

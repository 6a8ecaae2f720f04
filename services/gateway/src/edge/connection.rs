//! What is known about a client's connection.

use std::net::IpAddr;
use std::rc::Rc;

use super::state::WorkerState;

#[derive(Debug)]
pub struct Connection {
    pub worker: Rc<WorkerState>,
    /// The address of the client.
    pub client: IpAddr,
    /// The listeners' port, as clients see it.
    pub port: u16,
    pub is_tls: bool,
    /// The listener whose certificate was presented.
    pub listener: Option<Box<str>>,
}

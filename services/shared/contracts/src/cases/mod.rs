//! Behaviour that consumers rely on. Provider and fake run the same functions; each panics with what differs.
//!
//! Every case uses its own ids, so all of them run against one instance of the provider.

pub mod payments;
pub mod reservations;

use std::fmt::Debug;
use std::str::FromStr;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// One request to the provider, to be sent with the internal token.
#[derive(Debug, Clone)]
pub struct Request {
    /// HTTP method.
    pub method: &'static str,
    /// Path.
    pub path: String,
    /// JSON body.
    pub body: Option<serde_json::Value>,
}

/// What the provider answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Body.
    pub body: Vec<u8>,
}

impl Request {
    fn new(method: &'static str, path: String) -> Self {
        Self {
            method,
            path,
            body: None,
        }
    }

    fn json(self, body: &impl Serialize) -> Self {
        let body = serde_json::to_value(body).expect("a body of the contract is JSON");
        Self {
            body: Some(body),
            ..self
        }
    }
}

impl Answer {
    #[track_caller]
    fn read<T: DeserializeOwned>(&self, status: u16) -> T {
        self.expect(status);
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {}", self.text()))
    }

    /// A problem: the body decodes, and the provider sent the status that belongs to it.
    #[track_caller]
    fn problem<P: crate::Problem + DeserializeOwned>(&self) -> P {
        let problem: P = self.read(self.status);
        assert_eq!(self.status, problem.status(), "{}", self.text());
        problem
    }

    #[track_caller]
    fn expect(&self, status: u16) {
        assert_eq!(self.status, status, "{}", self.text());
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A fixed id.
fn id<T: FromStr<Err: Debug>>(n: u32) -> T {
    let uuid = format!("c0de0000-0000-7000-8000-{n:012x}");
    uuid.parse().expect("a UUID")
}

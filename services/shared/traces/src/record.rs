//! What is recorded of a span.

use std::borrow::Cow;
use std::time::{Duration, Instant, SystemTime};

use crate::context::TraceContext;

/// Longest text of an attribute: clients choose paths and hosts.
const MAX_TEXT: usize = 256;

/// The role of a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Serves a request.
    Server,
    /// Sends a request and waits for the response.
    Client,
    /// Sends a message.
    Producer,
    /// Processes a message.
    Consumer,
    /// None of these.
    Internal,
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A string.
    Text(Cow<'static, str>),
    /// An integer.
    Number(i64),
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<u16> for Value {
    fn from(number: u16) -> Self {
        Self::Number(number.into())
    }
}

/// What is recorded of a span.
#[derive(Debug)]
pub struct Record {
    pub(crate) context: TraceContext,
    pub(crate) parent: Option<TraceContext>,
    pub(crate) kind: Kind,
    pub(crate) name: Cow<'static, str>,
    pub(crate) began: SystemTime,
    pub(crate) took: Duration,
    pub(crate) attributes: Vec<(&'static str, Value)>,
    pub(crate) error: Option<Cow<'static, str>>,
    started: Instant,
}

impl Record {
    #[expect(
        clippy::disallowed_methods,
        reason = "no decision depends on the times of a span"
    )]
    pub(crate) fn new(
        kind: Kind,
        name: &'static str,
        context: TraceContext,
        parent: Option<TraceContext>,
    ) -> Self {
        Self {
            context,
            parent,
            kind,
            name: name.into(),
            began: SystemTime::now(),
            took: Duration::ZERO,
            attributes: Vec::with_capacity(8),
            error: None,
            started: Instant::now(),
        }
    }

    /// Sets the name. Names have a low cardinality: no ids, nothing that a client chooses.
    pub fn name(&mut self, name: impl Into<Cow<'static, str>>) {
        self.name = name.into();
    }

    /// Adds an attribute. No secret, no query, no body.
    pub fn set(&mut self, key: &'static str, value: impl Into<Value>) {
        let mut value = value.into();
        if let Value::Text(text) = &mut value
            && text.len() > MAX_TEXT
        {
            let end = text.floor_char_boundary(MAX_TEXT);
            text.to_mut().truncate(end);
        }
        self.attributes.push((key, value));
    }

    /// Sets `error.type`, one of few values. Also for what would be an error if the span ended now.
    pub fn fail(&mut self, what: impl Into<Cow<'static, str>>) {
        self.error = Some(what.into());
    }

    /// Clears the error.
    pub fn succeed(&mut self) {
        self.error = None;
    }

    /// The span is over.
    pub(crate) fn finish(&mut self) {
        self.took = self.started.elapsed();
    }
}

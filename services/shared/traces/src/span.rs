//! Pieces of work: each has a place in a trace. What is recorded of one is exported when it ends.

use std::borrow::Cow;
use std::future::Future;
use std::time::{Duration, Instant, SystemTime};

use tokio::task::futures::TaskLocalFuture;

use crate::context::{self, Context, TraceContext};
use crate::exporter;

/// Longest text of an attribute: paths and hosts are whatever clients make up.
const MAX_TEXT: usize = 256;

/// Which side of a conversation a span is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Answers a request.
    Server,
    /// Asks somebody else, and waits.
    Client,
    /// Sends a message.
    Producer,
    /// Works on a message.
    Consumer,
    /// Neither.
    Internal,
}

/// What is said of a span under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A text.
    Text(Cow<'static, str>),
    /// A whole number.
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

/// A piece of work, from its beginning until it is dropped. Nothing is recorded where nothing would be
/// exported.
#[derive(Debug)]
#[must_use = "a span lasts until it is dropped"]
pub struct Span {
    context: TraceContext,
    record: Option<Box<Record>>,
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
    clock: Instant,
}

impl Span {
    /// The next span of the parent's trace; without a parent, the first one of a trace that begins here.
    pub fn begin(kind: Kind, name: &'static str, parent: Option<TraceContext>) -> Self {
        let exporter = exporter::installed();
        let context = match (parent, exporter) {
            (Some(parent), _) => parent.child(),
            (None, None) => TraceContext::root(),
            (None, Some(exporter)) => {
                let root = TraceContext::root();
                root.sampled(exporter.samples(root))
            }
        };
        let is_recorded = exporter.is_some() && context.is_sampled();
        let record = is_recorded.then(|| Box::new(Record::new(kind, name, context, parent)));
        Self { context, record }
    }

    /// A span that nothing but its record is wanted of: none where nothing is recorded, and then no id is
    /// minted either.
    pub fn below(kind: Kind, name: &'static str, parent: TraceContext) -> Option<Self> {
        (exporter::is_on() && parent.is_sampled()).then(|| Self::begin(kind, name, Some(parent)))
    }

    /// The same, below the work in hand.
    pub fn inside(kind: Kind, name: &'static str) -> Option<Self> {
        Self::below(kind, name, context::here()?)
    }

    /// Its place in the trace, for those who work on its behalf.
    pub fn context(&self) -> TraceContext {
        self.context
    }

    /// What is recorded, if anything is.
    pub fn record(&mut self) -> Option<&mut Record> {
        self.record.as_deref_mut()
    }

    /// Runs a future on behalf of this span.
    pub fn around<F: Future>(&self, work: F) -> TaskLocalFuture<Context, F> {
        let context = Context {
            trace: self.context,
            request_id: "".into(),
        };
        context::scope(context, work)
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if let (Some(mut record), Some(exporter)) = (self.record.take(), exporter::installed()) {
            record.took = record.clock.elapsed();
            exporter.end(record);
        }
    }
}

impl Record {
    #[expect(
        clippy::disallowed_methods,
        reason = "no decision hangs on the times of a span: people read them"
    )]
    fn new(
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
            clock: Instant::now(),
        }
    }

    /// Names it. Names are few: nothing that counts up, nothing that a client chooses.
    pub fn name(&mut self, name: impl Into<Cow<'static, str>>) {
        self.name = name.into();
    }

    /// Says something of it. No secret, no query, no body.
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

    /// It failed, or would have if it ended now: `error.type`, a word out of few.
    pub fn fail(&mut self, what: impl Into<Cow<'static, str>>) {
        self.error = Some(what.into());
    }

    /// It did not fail.
    pub fn succeed(&mut self) {
        self.error = None;
    }
}

/// Runs a future as the next piece of the work that a recorded `traceparent` stands for; without one, as
/// the first of a trace.
pub fn continued<F: Future>(
    name: &'static str,
    traceparent: Option<&str>,
    work: F,
) -> impl Future<Output = F::Output> + use<F> {
    let parent = traceparent.and_then(TraceContext::parse);
    let span = Span::begin(Kind::Internal, name, parent);
    // Boxed: such work is large, and would be in this future twice.
    let work = Box::pin(span.around(work));
    async move {
        let done = work.await;
        drop(span);
        done
    }
}

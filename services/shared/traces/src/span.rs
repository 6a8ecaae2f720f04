//! Spans: pieces of work with a place in a trace, exported when they end.

use std::future::Future;

use tokio::task::futures::TaskLocalFuture;

use crate::context::{self, Context, TraceContext};
use crate::exporter;
use crate::record::{Kind, Record};

/// A span, until it is dropped. Nothing is recorded where nothing would be exported.
#[derive(Debug)]
#[must_use = "a span lasts until it is dropped"]
pub struct Span {
    context: TraceContext,
    record: Option<Box<Record>>,
}

impl Span {
    /// A child of `parent`; without a parent, the root of a new trace.
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

    /// A span that is only there to be recorded: `None` where nothing is, and then no id is minted either.
    pub fn below(kind: Kind, name: &'static str, parent: TraceContext) -> Option<Self> {
        (exporter::is_on() && parent.is_sampled()).then(|| Self::begin(kind, name, Some(parent)))
    }

    /// The same as a child of the current context.
    pub fn inside(kind: Kind, name: &'static str) -> Option<Self> {
        Self::below(kind, name, context::here()?)
    }

    /// Its place in the trace, as the parent of other spans.
    pub fn context(&self) -> TraceContext {
        self.context
    }

    /// What is recorded, if anything is.
    pub fn record(&mut self) -> Option<&mut Record> {
        self.record.as_deref_mut()
    }

    /// Runs a future with this span as its context.
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
            record.finish();
            exporter.end(record);
        }
    }
}

/// Runs a future as a child span of a stored `traceparent`; without one, as the root of a new trace.
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

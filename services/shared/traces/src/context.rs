//! W3C trace context and request id: parsed where a request enters the process, kept by the task, passed on to
//! peers, outbox rows and logs.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use tokio::task::futures::TaskLocalFuture;

/// A W3C `traceparent` (version 00).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    trace_id: u128,
    span_id: u64,
    flags: u8,
}

/// The flag of a `traceparent` whose sender may have recorded its span.
const SAMPLED: u8 = 1;

fn hex<const N: usize>(text: &str) -> Option<&str> {
    let legal = text.len() == N && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    legal.then_some(text)
}

fn random() -> [u8; 24] {
    let mut bytes = [0; 24];
    // Without randomness traces get mixed up, which is no reason to fail a request.
    let _ = getrandom::fill(&mut bytes);
    bytes
}

impl TraceContext {
    /// Reads a `traceparent`; a malformed one is ignored, as the specification demands.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.trim().splitn(5, '-');
        let version = hex::<2>(parts.next()?)?;
        let trace_id = u128::from_str_radix(hex::<32>(parts.next()?)?, 16).ok()?;
        let span_id = u64::from_str_radix(hex::<16>(parts.next()?)?, 16).ok()?;
        let flags = u8::from_str_radix(hex::<2>(parts.next()?)?, 16).ok()?;
        let rest = parts.next();
        // Version ff is forbidden; 00 has exactly four parts; later versions may have more.
        let legal = version != "ff" && (version != "00" || rest.is_none());
        (legal && trace_id != 0 && span_id != 0).then_some(Self {
            trace_id,
            span_id,
            flags,
        })
    }

    /// The root of a new trace.
    pub fn root() -> Self {
        let bytes = random();
        let (trace, span) = bytes.split_at(16);
        let fold = |part: &[u8]| {
            part.iter()
                .fold(0_u128, |sum, byte| sum << 8 | u128::from(*byte))
        };
        Self {
            trace_id: fold(trace) | 1,
            span_id: low_64(fold(span)) | 1,
            flags: SAMPLED,
        }
    }

    /// A child span in the same trace.
    #[must_use]
    pub fn child(self) -> Self {
        Self {
            span_id: Self::root().span_id,
            ..self
        }
    }

    /// Whether the spans of this trace are exported. The process where the trace begins decides.
    pub fn is_sampled(self) -> bool {
        self.flags & SAMPLED == SAMPLED
    }

    /// The same with that decision.
    #[must_use]
    pub(crate) fn sampled(self, yes: bool) -> Self {
        let flags = if yes {
            self.flags | SAMPLED
        } else {
            self.flags & !SAMPLED
        };
        Self { flags, ..self }
    }

    pub(crate) fn trace(self) -> u128 {
        self.trace_id
    }

    pub(crate) fn span(self) -> u64 {
        self.span_id
    }

    pub(crate) fn flags(self) -> u8 {
        self.flags
    }

    /// The trace id, as logs show it.
    pub fn trace_id(self) -> String {
        format!("{:032x}", self.trace_id)
    }

    /// The span id, as logs show it.
    pub fn span_id(self) -> String {
        format!("{:016x}", self.span_id)
    }
}

fn low_64(wide: u128) -> u64 {
    u64::try_from(wide & u128::from(u64::MAX)).unwrap_or(1)
}

/// The text of the header.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "00-{:032x}-{:016x}-{:02x}",
            self.trace_id, self.span_id, self.flags
        )
    }
}

/// The context of a task.
#[derive(Debug, Clone)]
pub struct Context {
    /// The current span.
    pub trace: TraceContext,
    /// The request id; empty in work that no request started.
    pub request_id: Arc<str>,
}

tokio::task_local! {
    static CONTEXT: Context;
}

/// The trace context of the current task.
pub(crate) fn here() -> Option<TraceContext> {
    CONTEXT.try_with(|context| context.trace).ok()
}

/// The `traceparent` of the current task, for outbox rows and calls to peers.
pub fn current() -> Option<String> {
    here().map(|trace| trace.to_string())
}

/// The id of the current request.
pub fn request_id() -> Option<Arc<str>> {
    let id = CONTEXT
        .try_with(|context| Arc::clone(&context.request_id))
        .ok()?;
    (!id.is_empty()).then_some(id)
}

/// Runs a future in a context.
pub fn scope<F: Future>(context: Context, work: F) -> TaskLocalFuture<Context, F> {
    CONTEXT.scope(context, work)
}

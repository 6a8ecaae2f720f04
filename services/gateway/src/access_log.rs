//! One JSON line for each request, written by a thread of its own: where nobody reads the log, lines are
//! dropped and requests are not delayed.

use std::cell::{Cell, RefCell};
use std::io::Write;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use serde::Serialize;

use crate::metrics::Metrics;

/// A chunk is handed over when it is this large, or at the next tick of the worker.
const CHUNK_BYTES: usize = 32 * 1024;
/// Chunks that may wait to be written.
const CHUNKS: usize = 64;

/// One line. No query and no headers: they may hold secrets.
#[derive(Debug, Serialize)]
pub struct Line<'a> {
    /// When the response was complete.
    pub time: String,
    /// Always `access`, to tell these lines from others.
    pub target: &'static str,
    pub method: &'a str,
    /// Host without port.
    pub host: &'a str,
    /// Path without query.
    pub path: &'a str,
    /// HTTPRoute as `namespace/name`, empty where none matched.
    pub route: &'a str,
    /// Status; 499 where the client closed the connection before there was one.
    pub status: u16,
    /// Bytes of the request's body.
    pub bytes_in: u64,
    /// Bytes of the response's body.
    pub bytes_out: u64,
    /// Until the last byte.
    pub duration_us: u64,
    /// Until the backend began to respond.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream_us: Option<u64>,
    /// The endpoint that responded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream: Option<std::net::SocketAddr>,
    /// The client's address.
    pub client: std::net::IpAddr,
    /// Request id.
    pub request_id: &'a str,
    /// Trace, where traces are exported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// `sub` of the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<&'a str>,
}

/// The writer of all workers' lines.
#[derive(Clone, Debug)]
pub struct LogSink {
    chunks: Option<SyncSender<Vec<u8>>>,
    metrics: Arc<Metrics>,
}

impl LogSink {
    /// A sink that writes to `out` on its own thread.
    pub fn start(
        mut out: impl Write + Send + 'static,
        metrics: Arc<Metrics>,
    ) -> std::io::Result<Self> {
        let (chunks, waiting): (_, Receiver<Vec<u8>>) = sync_channel(CHUNKS);
        std::thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(move || {
                for chunk in waiting {
                    // There is nowhere to report an error to: it is the log that fails.
                    let _ = out.write_all(&chunk).and_then(|()| out.flush());
                }
            })?;
        Ok(Self {
            chunks: Some(chunks),
            metrics,
        })
    }

    /// A sink that discards lines.
    pub fn none(metrics: Arc<Metrics>) -> Self {
        Self {
            chunks: None,
            metrics,
        }
    }
}

/// The lines of one worker.
#[derive(Debug)]
pub struct AccessLog {
    sink: LogSink,
    buffer: RefCell<Vec<u8>>,
    lines: Cell<u64>,
}

impl AccessLog {
    /// An empty buffer in front of `sink`.
    pub fn new(sink: LogSink) -> Self {
        Self {
            sink,
            buffer: RefCell::default(),
            lines: Cell::new(0),
        }
    }

    pub fn is_on(&self) -> bool {
        self.sink.chunks.is_some()
    }

    pub fn write(&self, line: &Line<'_>) {
        let mut buffer = self.buffer.borrow_mut();
        if serde_json::to_writer(&mut *buffer, line).is_ok() {
            buffer.push(b'\n');
            self.lines.set(self.lines.get() + 1);
        }
        let is_full = buffer.len() >= CHUNK_BYTES;
        drop(buffer);
        if is_full {
            self.flush();
        }
    }

    /// Hands the buffered lines over to the writer.
    pub fn flush(&self) {
        let Some(chunks) = &self.sink.chunks else {
            return;
        };
        let mut buffer = self.buffer.borrow_mut();
        if buffer.is_empty() {
            return;
        }
        let chunk = std::mem::replace(&mut *buffer, Vec::with_capacity(CHUNK_BYTES + 1024));
        let lines = self.lines.take();
        if chunks.try_send(chunk).is_err() {
            self.sink.metrics.log_dropped.inc_by(lines);
        }
    }
}

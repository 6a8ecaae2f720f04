//! What the stream of a client's connection has to know of its requests, and the other way round. The stream is
//! owned by hyper, which wants it to be `Send`; all of this stays on one thread, so relaxed atomics are enough.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use http::StatusCode;

/// The state of one connection.
#[derive(Debug)]
pub struct Conversation {
    /// Requests so far; the number may wrap.
    requests: AtomicU32,
    /// Those whose response is not complete.
    open: AtomicU32,
    /// Whether everything that was answered is also written.
    is_quiet: AtomicBool,
    lingers: AtomicBool,
    refused: OnceLock<Refused>,
}

/// What was refused before it became a request: by the parser, or because it did not arrive in time.
#[derive(Debug)]
pub struct Refused {
    pub status: StatusCode,
    pub request_id: String,
    /// Bytes of the response's body.
    pub bytes_out: u64,
}

impl Default for Conversation {
    fn default() -> Self {
        Self {
            requests: AtomicU32::new(0),
            open: AtomicU32::new(0),
            is_quiet: AtomicBool::new(true),
            lingers: AtomicBool::new(false),
            refused: OnceLock::new(),
        }
    }
}

impl Conversation {
    /// A request began.
    pub fn begin(&self) {
        let open = self.open.load(Ordering::Relaxed);
        self.open.store(open + 1, Ordering::Relaxed);
        let requests = self.requests();
        self.requests
            .store(requests.wrapping_add(1), Ordering::Relaxed);
        self.is_quiet.store(false, Ordering::Relaxed);
    }

    /// How many requests there were, to tell whether there was another one since.
    pub fn requests(&self) -> u32 {
        self.requests.load(Ordering::Relaxed)
    }

    /// The response to a request was handed over to the last byte, or will never be.
    pub fn end(&self) {
        let open = self.open.load(Ordering::Relaxed);
        self.open.store(open.saturating_sub(1), Ordering::Relaxed);
    }

    /// Everything that was handed over is written.
    pub fn flushed(&self) {
        if self.open.load(Ordering::Relaxed) == 0 {
            self.is_quiet.store(true, Ordering::Relaxed);
        }
    }

    /// Whether nothing is left to be written: what is written now is not the response to any request.
    pub fn is_quiet(&self) -> bool {
        self.is_quiet.load(Ordering::Relaxed)
    }

    /// The client may still be sending when the connection is closed.
    pub fn linger(&self) {
        self.lingers.store(true, Ordering::Relaxed);
    }

    pub fn lingers(&self) -> bool {
        self.lingers.load(Ordering::Relaxed)
    }

    /// What the client sent was refused before it was a request; that ends the connection, so it happens once.
    pub fn refuse(&self, refused: Refused) {
        drop(self.refused.set(refused));
        self.linger();
    }

    pub fn refused(&self) -> Option<&Refused> {
        self.refused.get()
    }
}

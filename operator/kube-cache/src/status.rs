use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};

/// How a watch is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// The first list is not complete yet.
    Starting = 0,
    /// The list is complete and the watch is running.
    Live = 1,
    /// The API server does not serve the kind: its definition is not installed (yet).
    Missing = 2,
    /// The API server refuses the request.
    Forbidden = 3,
    /// The request fails in another way.
    Failing = 4,
}

/// State of one watch, shared with health checks.
#[derive(Debug)]
pub struct WatchStatus {
    /// The kind.
    pub kind: String,
    /// Path of its requests.
    pub path: String,
    /// Whether the process can be ready without it.
    pub optional: bool,
    state: AtomicU8,
    error: Mutex<String>,
}

impl WatchStatus {
    pub(crate) fn new(kind: &str, path: &str, optional: bool) -> Self {
        Self {
            kind: kind.to_owned(),
            path: path.to_owned(),
            optional,
            state: AtomicU8::new(State::Starting as u8),
            error: Mutex::default(),
        }
    }

    /// How the watch is doing.
    pub fn state(&self) -> State {
        match self.state.load(Ordering::Acquire) {
            1 => State::Live,
            2 => State::Missing,
            3 => State::Forbidden,
            4 => State::Failing,
            _ => State::Starting,
        }
    }

    /// The last error; empty while the watch is live.
    pub fn error(&self) -> String {
        self.error
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn set(&self, state: State, error: String) {
        *self.error.lock().unwrap_or_else(PoisonError::into_inner) = error;
        self.state.store(state as u8, Ordering::Release);
    }
}

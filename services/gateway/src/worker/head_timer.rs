//! How long a client may take to send the head of a request, and to keep a connection without one.
//!
//! hyper has such a limit too, but closes the connection without an answer and without telling, and does not yet
//! count while it waits for the first bytes to tell the versions of HTTP apart.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use crate::edge::Conversation;

/// How HTTP/2 begins. Its connections are checked by pings.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The clock of one connection.
#[derive(Debug)]
pub struct HeadTimer {
    limit: Duration,
    /// Requests that had begun when it was read last: a new one starts the time anew.
    requests: u32,
    until: Option<Instant>,
    // Made once. It may end before `until`, which is moved with each request, and goes on then.
    timer: Option<Pin<Box<Sleep>>>,
    has_bytes: bool,
    /// How much of the preface of HTTP/2 has been read; `None` once something else was.
    preface: Option<usize>,
}

impl HeadTimer {
    pub fn new(limit: Duration) -> Self {
        Self {
            limit,
            requests: 0,
            until: None,
            timer: None,
            has_bytes: false,
            preface: Some(0),
        }
    }

    /// The client sent something.
    pub fn received(&mut self, bytes: &[u8], conversation: &Conversation) {
        if let Some(known) = self.preface.filter(|known| *known < PREFACE.len()) {
            let count = bytes.len().min(PREFACE.len() - known);
            let fits = PREFACE[known..known + count] == bytes[..count];
            self.preface = fits.then_some(known + count);
        }
        self.follow(conversation);
        if conversation.is_quiet() && !self.has_bytes && !bytes.is_empty() {
            // A head has its time for itself, however long the connection was idle before.
            self.has_bytes = true;
            self.until = None;
        }
    }

    /// Ready once the client took too long. To be asked while it sends nothing.
    pub fn poll_late(
        &mut self,
        context: &mut Context<'_>,
        conversation: &Conversation,
    ) -> Poll<()> {
        self.follow(conversation);
        let is_http2 = self.preface == Some(PREFACE.len());
        if is_http2 || !conversation.is_quiet() {
            self.until = None;
            return Poll::Pending;
        }
        let limit = self.limit;
        let until = *self.until.get_or_insert_with(|| Instant::now() + limit);
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        loop {
            if timer.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            if timer.deadline() >= until {
                return Poll::Ready(());
            }
            timer.as_mut().reset(until);
        }
    }

    fn follow(&mut self, conversation: &Conversation) {
        let requests = conversation.requests();
        if requests != self.requests {
            self.requests = requests;
            self.has_bytes = false;
            self.until = None;
        }
    }
}

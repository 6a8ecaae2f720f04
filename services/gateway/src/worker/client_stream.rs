//! The stream of a client's connection, between hyper and the socket.
//!
//! Three things that hyper does are done differently here. What its parser refuses, it answers without a body and
//! without telling: such an answer is replaced. And it closes a connection as soon as the last response is
//! written, although the client may still be sending: the kernel then resets the connection, and the client
//! loses the response. So what the client still sends is read for a while. And it drops a connection whose head does
//! not arrive in time: that is answered, as soon as hyper has told that it holds a part of a head.

use std::future::poll_fn;
use std::io::{Error, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::head_timer::HeadTimer;
use super::held_stream::HeldStream;
use crate::clock::now;
use crate::edge::{Conversation, RequestIds, head_too_late, parser_refusal};

/// How long a client that is refused may go on sending.
const LINGER: Duration = Duration::from_secs(15);
/// How long it may send nothing.
const QUIET: Duration = Duration::from_secs(2);

pub struct ClientStream<S> {
    inner: S,
    conversation: Arc<Conversation>,
    request_ids: RequestIds,
    head: HeadTimer,
    /// Whether the client took too long: then nothing more is read.
    is_late: bool,
    /// What is written in place of the parser's own answer, and how much of it is.
    replacement: Vec<u8>,
    replaced: usize,
    closing: Closing,
}

enum Closing {
    No,
    Reading {
        until: Instant,
        quiet: Pin<Box<Sleep>>,
    },
    Done,
}

impl<S> ClientStream<S> {
    /// `request_ids` are for requests that the parser refuses.
    pub fn new(
        inner: S,
        conversation: Arc<Conversation>,
        request_ids: RequestIds,
        head: HeadTimer,
    ) -> Self {
        Self {
            inner,
            conversation,
            request_ids,
            head,
            is_late: false,
            replacement: Vec::new(),
            replaced: 0,
            closing: Closing::No,
        }
    }

    /// Takes what hyper writes, if that is an answer of its parser.
    fn take_refusal(&mut self, written: &[u8]) -> bool {
        if !self.conversation.is_quiet() || !written.starts_with(b"HTTP/1.") {
            return false;
        }
        let Some((bytes, refused)) = parser_refusal(written, self.request_ids.mint()) else {
            return false;
        };
        self.replacement = bytes;
        self.conversation.refuse(refused);
        true
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> ClientStream<S> {
    /// Answers a client that took too long, once hyper has given the connection up because what it sent was not a
    /// whole head. It says so of nothing else that ends there, so a connection without a request just ends. So does one
    /// whose client has not sent all of the body of a request that was answered.
    pub async fn answer_late(held: &HeldStream<Self>) {
        if !held.stream().refuse_late() {
            return;
        }
        // The client may be gone.
        let _ = poll_fn(|context| Pin::new(&mut *held.stream()).poll_shutdown(context)).await;
    }

    fn refuse_late(&mut self) -> bool {
        if !self.is_late || self.conversation.lingers() {
            return false;
        }
        let (bytes, refused) = head_too_late(now(), self.request_ids.mint());
        self.replacement = bytes;
        self.conversation.refuse(refused);
        true
    }
}

impl<S: AsyncWrite + Unpin> ClientStream<S> {
    fn write_replacement(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        while self.replaced < self.replacement.len() {
            let rest = &self.replacement[self.replaced..];
            let count = ready!(Pin::new(&mut self.inner).poll_write(context, rest))?;
            if count == 0 {
                return Poll::Ready(Err(Error::from(std::io::ErrorKind::WriteZero)));
            }
            self.replaced += count;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> ClientStream<S> {
    /// Reads until the client is done, or sends nothing, or has sent for long enough.
    fn poll_linger(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Closing::Reading { until, quiet } = &mut self.closing else {
            return Poll::Ready(());
        };
        let mut scratch = [0; 16 * 1024];
        loop {
            let mut buffer = ReadBuf::new(&mut scratch);
            match Pin::new(&mut self.inner).poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    let now = Instant::now();
                    if now >= *until {
                        return Poll::Ready(());
                    }
                    quiet.as_mut().reset((now + QUIET).min(*until));
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return quiet.as_mut().poll(context),
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ClientStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<(), Error>> {
        let this = &mut *self;
        if !this.is_late {
            let before = buffer.filled().len();
            if let Poll::Ready(read) = Pin::new(&mut this.inner).poll_read(context, buffer) {
                let bytes = &buffer.filled()[before..];
                this.head.received(bytes, &this.conversation);
                return Poll::Ready(read);
            }
            ready!(this.head.poll_late(context, &this.conversation));
            this.is_late = true;
        }
        // To hyper it is the end of what the client sends: an error where it holds a part of a head.
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for ClientStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize, Error>> {
        if self.take_refusal(bytes) {
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<Result<usize, Error>> {
        let first = slices.first().map(|slice| &**slice).unwrap_or_default();
        if self.take_refusal(first) {
            return Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()));
        }
        Pin::new(&mut self.inner).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        ready!(self.write_replacement(context))?;
        ready!(Pin::new(&mut self.inner).poll_flush(context))?;
        self.conversation.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Error>> {
        if let Closing::No = self.closing {
            ready!(self.write_replacement(context))?;
            ready!(Pin::new(&mut self.inner).poll_shutdown(context))?;
            self.closing = if self.conversation.lingers() {
                let now = Instant::now();
                Closing::Reading {
                    until: now + LINGER,
                    quiet: Box::pin(tokio::time::sleep_until(now + QUIET)),
                }
            } else {
                Closing::Done
            };
        }
        ready!(self.poll_linger(context));
        self.closing = Closing::Done;
        Poll::Ready(Ok(()))
    }
}

//! Bodies on their way through: counted, limited, never gathered.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep};

use super::Exchange;
use crate::upstream::Lease;

/// Why a body ended before its time.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It is larger than allowed.
    #[error("the request body is larger than allowed")]
    TooLarge,
    /// The peer broke off.
    #[error("the peer broke off the body")]
    Broken(#[source] hyper::Error),
    /// The backend went quiet, or the time for the request was up.
    #[error("the rest of the response did not come in time")]
    TimedOut,
}

/// How far a request's body got. Shared with whoever waits for the answer.
#[derive(Debug, Default)]
pub struct Upload {
    bytes: Cell<u64>,
    is_done: Cell<bool>,
    is_too_large: Cell<bool>,
    is_broken: Cell<bool>,
}

impl Upload {
    /// Bytes so far.
    pub fn bytes(&self) -> u64 {
        self.bytes.get()
    }

    /// Whether all of it was read.
    pub fn is_done(&self) -> bool {
        self.is_done.get()
    }

    /// Whether it was cut because of its size.
    pub fn is_too_large(&self) -> bool {
        self.is_too_large.get()
    }

    /// Whether the client broke off.
    pub fn is_broken(&self) -> bool {
        self.is_broken.get()
    }
}

/// A request's body on its way to a backend.
#[derive(Debug)]
pub struct RequestBody {
    inner: Option<Incoming>,
    limit: u64,
    upload: Rc<Upload>,
}

impl RequestBody {
    /// A body that may have at most `limit` bytes.
    pub fn new(inner: Incoming, limit: u64) -> Self {
        let upload = Upload::default();
        upload.is_done.set(inner.is_end_stream());
        Self {
            inner: Some(inner),
            limit,
            upload: Rc::new(upload),
        }
    }

    /// No body.
    pub fn empty() -> Self {
        let upload = Upload::default();
        upload.is_done.set(true);
        Self {
            inner: None,
            limit: 0,
            upload: Rc::new(upload),
        }
    }

    /// Where to see how far it got.
    pub fn upload(&self) -> Rc<Upload> {
        self.upload.clone()
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        let Some(inner) = &mut this.inner else {
            return Poll::Ready(None);
        };
        match ready!(Pin::new(&mut *inner).poll_frame(context)) {
            None => {
                this.upload.is_done.set(true);
                Poll::Ready(None)
            }
            Some(Err(error)) => {
                this.upload.is_broken.set(true);
                Poll::Ready(Some(Err(BodyError::Broken(error))))
            }
            Some(Ok(frame)) => {
                let size = frame.data_ref().map_or(0, Bytes::len) as u64;
                let bytes = this.upload.bytes.get() + size;
                this.upload.bytes.set(bytes);
                if bytes > this.limit {
                    this.upload.is_too_large.set(true);
                    return Poll::Ready(Some(Err(BodyError::TooLarge)));
                }
                this.upload.is_done.set(inner.is_end_stream());
                Poll::Ready(Some(Ok(frame)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

/// A response's body on its way to the client. Whatever becomes of it, the request is logged when it
/// is dropped.
#[derive(Debug)]
pub struct ResponseBody {
    source: Source,
    exchange: Exchange,
}

#[derive(Debug)]
enum Source {
    Own(Option<Bytes>),
    Backend(Box<Backend>),
}

#[derive(Debug)]
struct Backend {
    inner: Incoming,
    lease: Option<Lease>,
    upload: Rc<Upload>,
    is_complete: bool,
    idle_limit: Duration,
    deadline: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

/// What a backend's body still needs.
pub struct Rest {
    /// The connection, to be given back.
    pub lease: Lease,
    /// The request's body, which has to be complete as well by then.
    pub upload: Rc<Upload>,
    /// Time without a byte.
    pub idle_limit: Duration,
    /// Time for everything, when the route sets one.
    pub deadline: Option<Instant>,
}

impl ResponseBody {
    /// A body of our own.
    pub fn own(body: Bytes, exchange: Exchange) -> Self {
        Self {
            source: Source::Own((!body.is_empty()).then_some(body)),
            exchange,
        }
    }

    /// A backend's body.
    pub fn backend(inner: Incoming, rest: Rest, exchange: Exchange) -> Self {
        let Rest {
            lease,
            upload,
            idle_limit,
            deadline,
        } = rest;
        let backend = Backend {
            inner,
            lease: Some(lease),
            upload,
            is_complete: false,
            idle_limit,
            deadline,
            timer: None,
        };
        Self {
            source: Source::Backend(Box::new(backend)),
            exchange,
        }
    }
}

impl Backend {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match Pin::new(&mut self.inner).poll_frame(context) {
            Poll::Ready(None) => {
                self.is_complete = true;
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(BodyError::Broken(error)))),
            Poll::Ready(Some(Ok(frame))) => {
                self.timer = None;
                self.is_complete = self.inner.is_end_stream();
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Pending => {
                // Armed only when the backend makes us wait: most bodies are there at once.
                let timer = self.timer.get_or_insert_with(|| {
                    let idle = Instant::now() + self.idle_limit;
                    let until = self.deadline.map_or(idle, |deadline| deadline.min(idle));
                    Box::pin(tokio::time::sleep_until(until))
                });
                ready!(timer.as_mut().poll(context));
                Poll::Ready(Some(Err(BodyError::TimedOut)))
            }
        }
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        let is_complete = self.is_complete || self.inner.is_end_stream();
        if let Some(lease) = self.lease.take()
            && is_complete
            && self.upload.is_done()
        {
            lease.give_back();
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        let frame = match &mut this.source {
            Source::Own(body) => body.take().map(|body| Ok(Frame::data(body))),
            Source::Backend(backend) => ready!(backend.poll(context)),
        };
        if let Some(Ok(frame)) = &frame {
            this.exchange
                .add_bytes(frame.data_ref().map_or(0, Bytes::len) as u64);
        }
        if let Some(Err(error)) = &frame {
            tracing::debug!(%error, "the response is cut");
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Own(body) => body.is_none(),
            Source::Backend(backend) => backend.inner.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Own(body) => SizeHint::with_exact(body.as_ref().map_or(0, Bytes::len) as u64),
            Source::Backend(backend) => backend.inner.size_hint(),
        }
    }
}

//! Request bodies: streamed, counted, limited, never buffered.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};

/// Why a body ended before it was complete.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    #[error("the request body is larger than allowed")]
    TooLarge,
    #[error("the peer closed the connection before the body was complete")]
    Incomplete(#[source] hyper::Error),
    #[error("the rest of the response did not arrive in time")]
    TimedOut,
}

/// Progress of a request body, shared between the body and the request that waits for the response.
#[derive(Debug, Default)]
pub struct Upload {
    bytes: Cell<u64>,
    is_done: Cell<bool>,
    is_too_large: Cell<bool>,
    is_broken: Cell<bool>,
}

impl Upload {
    pub fn bytes(&self) -> u64 {
        self.bytes.get()
    }

    /// Whether all of it was read from the client.
    pub fn is_done(&self) -> bool {
        self.is_done.get()
    }

    /// Whether it was cut off because of its size.
    pub fn is_too_large(&self) -> bool {
        self.is_too_large.get()
    }

    /// Whether the client closed the connection before all of it was sent.
    pub fn is_broken(&self) -> bool {
        self.is_broken.get()
    }
}

/// A request body on its way from a client to a backend.
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

    pub fn empty() -> Self {
        let upload = Upload::default();
        upload.is_done.set(true);
        Self {
            inner: None,
            limit: 0,
            upload: Rc::new(upload),
        }
    }

    /// Its progress.
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
                Poll::Ready(Some(Err(BodyError::Incomplete(error))))
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

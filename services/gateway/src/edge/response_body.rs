//! Response bodies: streamed, with an idle limit, never buffered.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep};

use super::exchange::Exchange;
use crate::pool::{BodyError, Lease, Upload};

/// A response body on its way to the client. It carries the exchange, which is recorded when the body is
/// dropped: after its last byte, or when the client is gone.
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

/// What the body of a backend still needs.
pub struct Rest {
    /// The connection, which returns to the pool once the body is complete.
    pub lease: Lease,
    /// The request body, which has to be complete by then as well.
    pub upload: Rc<Upload>,
    /// Longest time without a byte.
    pub idle_limit: Duration,
    /// End of the whole exchange, where the route sets one.
    pub deadline: Option<Instant>,
}

impl ResponseBody {
    /// A body that the gateway itself made.
    pub fn own(body: Bytes, exchange: Exchange) -> Self {
        Self {
            source: Source::Own((!body.is_empty()).then_some(body)),
            exchange,
        }
    }

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
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(BodyError::Incomplete(error)))),
            Poll::Ready(Some(Ok(frame))) => {
                self.timer = None;
                self.is_complete = self.inner.is_end_stream();
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Pending => {
                // Set only when the backend makes us wait: most bodies are there at once.
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
                .sent(frame.data_ref().map_or(0, Bytes::len) as u64);
        }
        if let Some(Err(error)) = &frame {
            tracing::debug!(%error, "response body cut off");
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

//! Connections to backends that answer before they have read the whole request.
//!
//! A backend that refuses a body for its size answers and closes the connection, while the body is still being
//! sent. The next write fails then, and whoever takes that for the end of the connection never reads the answer.

use std::io::{Error, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream that goes on reading after writing has failed: what is written from then on is dropped. If there is
/// no answer, reading tells of the end of the connection.
#[derive(Debug)]
pub struct Patient<S> {
    inner: S,
    is_deaf: bool,
}

impl<S> Patient<S> {
    pub fn new(inner: S) -> Self {
        Self {
            inner,
            is_deaf: false,
        }
    }

    /// The peer reads no more: then everything counts as written.
    fn or_drop(
        &mut self,
        written: Poll<Result<usize, Error>>,
        length: usize,
    ) -> Poll<Result<usize, Error>> {
        match written {
            Poll::Ready(Err(error)) if is_closed(&error) => {
                self.is_deaf = true;
                Poll::Ready(Ok(length))
            }
            other => other,
        }
    }
}

fn is_closed(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted
    )
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize, Error>> {
        if self.is_deaf {
            return Poll::Ready(Ok(bytes.len()));
        }
        let written = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.or_drop(written, bytes.len())
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<Result<usize, Error>> {
        let length = || slices.iter().map(|slice| slice.len()).sum();
        if self.is_deaf {
            return Poll::Ready(Ok(length()));
        }
        let written = Pin::new(&mut self.inner).poll_write_vectored(context, slices);
        if written.is_pending() {
            return written;
        }
        self.or_drop(written, length())
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if self.is_deaf {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

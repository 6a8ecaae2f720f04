//! Clients that stop reading: without a limit, each of them would keep a response and a backend connection
//! for ever.

use std::io::{Error, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// A stream whose writes fail when none makes progress for a while. Reading is not limited here: heads and
/// bodies have limits of their own, and an upgraded connection may be silent.
#[derive(Debug)]
pub struct Unstalled<S> {
    inner: S,
    limit: Duration,
    // Made when a write has to wait for the first time, which for most connections is never.
    timer: Option<Pin<Box<Sleep>>>,
    is_waiting: bool,
}

impl<S> Unstalled<S> {
    /// Limits the writes of `inner`.
    pub fn new(inner: S, limit: Duration) -> Self {
        Self {
            inner,
            limit,
            timer: None,
            is_waiting: false,
        }
    }

    fn limit_wait<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<Result<T, Error>>,
    ) -> Poll<Result<T, Error>> {
        if written.is_ready() {
            self.is_waiting = false;
            return written;
        }
        let until = Instant::now() + self.limit;
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        if !self.is_waiting {
            self.is_waiting = true;
            timer.as_mut().reset(until);
        }
        match timer.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(Error::from(ErrorKind::TimedOut))),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Unstalled<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Unstalled<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize, Error>> {
        let written = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.limit_wait(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<Result<usize, Error>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(context, slices);
        self.limit_wait(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let flushed = Pin::new(&mut self.inner).poll_flush(context);
        self.limit_wait(context, flushed)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Error>> {
        let closed = Pin::new(&mut self.inner).poll_shutdown(context);
        self.limit_wait(context, closed)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn a_write_without_progress_fails_and_a_slow_one_does_not() {
        let limit = Duration::from_millis(200);
        let (near, mut far) = duplex(16);
        let mut near = Unstalled::new(near, limit);
        let reader = async {
            let mut got = [0; 64];
            for piece in got.chunks_mut(16) {
                tokio::time::sleep(limit / 2).await;
                far.read_exact(piece).await.expect("read");
            }
            far
        };
        // Longer than the limit in all, but never without progress for so long.
        let (written, _far) = tokio::join!(near.write_all(&[7; 64]), reader);
        written.expect("written");
        let stuck = near.write_all(&[7; 64]).await.expect_err("nobody reads");
        assert_eq!(stuck.kind(), ErrorKind::TimedOut);
    }
}

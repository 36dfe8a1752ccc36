//! A stream that gives up on a peer that leaves its bytes unread, or reads them too slowly.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use crate::limits::WRITTEN_MIN;

/// A stream whose writes fail with `TimedOut` when the peer takes fewer than [`WRITTEN_MIN`] bytes in `patience`; counts
/// the bytes it took.
pub(super) struct Progress<S> {
    stream: S,
    written: Arc<AtomicU64>,
    patience: Duration,
    /// Since the peer last took less than it was given.
    stalled: Option<Stall>,
}

/// A peer that does not take all that it is given.
struct Stall {
    timeout: Pin<Box<Sleep>>,
    /// Bytes that it took nevertheless.
    taken: u64,
}

impl<S> Progress<S> {
    pub(super) fn new(stream: S, written: Arc<AtomicU64>, patience: Duration) -> Self {
        Self { stream, written, patience, stalled: None }
    }

    /// The outcome of an operation that completes once everything is written: one that is pending for too long is an
    /// error.
    fn limit<T>(&mut self, outcome: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.stalled = None;
            return outcome;
        }
        let patience = self.patience;
        let stall = self.stalled.get_or_insert_with(|| Stall { timeout: Box::pin(sleep(patience)), taken: 0 });
        ready!(stall.timeout.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// [`Progress::limit`] of a write of `given` bytes that returns how many the peer took.
    fn count(
        &mut self,
        given: usize,
        outcome: Poll<io::Result<usize>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let Poll::Ready(Ok(bytes)) = outcome else { return self.limit(outcome, cx) };
        self.written.fetch_add(bytes as u64, Ordering::Relaxed);
        if let Some(stall) = &mut self.stalled {
            stall.taken += bytes as u64;
            if bytes == given || stall.taken >= WRITTEN_MIN {
                self.stalled = None;
            }
        }
        outcome
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Progress<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Progress<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.count(bytes.len(), outcome, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.count(parts.iter().map(|part| part.len()).sum(), outcome, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_flush(cx);
        self.limit(outcome, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.limit(outcome, cx)
    }
}

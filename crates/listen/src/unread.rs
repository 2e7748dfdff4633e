//! Callers that read nothing of their answers.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, sleep_until};

/// A connection that tells since when its caller takes nothing of what is to be written.
pub struct Watched<S> {
    stream: S,
    stalled: Stalled,
}

/// Since when a connection's caller has taken nothing, though something waits for it.
#[derive(Debug, Clone, Default)]
pub struct Stalled(Arc<Mutex<Option<Instant>>>);

impl<S> Watched<S> {
    /// Watches what is written to `stream`.
    pub fn new(stream: S) -> (Self, Stalled) {
        let stalled = Stalled::default();
        (Self { stream, stalled: stalled.clone() }, stalled)
    }
}

impl Stalled {
    fn since(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note<T>(&self, written: Poll<T>) -> Poll<T> {
        let mut since = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match written {
            Poll::Ready(_) => *since = None,
            Poll::Pending => {
                since.get_or_insert_with(Instant::now);
            }
        }
        written
    }

    /// Ends once nothing was taken for so long.
    pub async fn lasts(&self, limit: Duration) {
        loop {
            let until = self.since().unwrap_or_else(Instant::now) + limit;
            sleep_until(until).await;
            if self.since().is_some_and(|since| since.elapsed() >= limit) {
                return;
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.stalled.note(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.stalled.note(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
    use tokio::time::{sleep, timeout};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_reads_nothing_is_found_and_a_slow_one_is_not() {
        let (mut caller, io) = duplex(4);
        let (mut io, stalled) = Watched::new(io);
        let answer = async { io.write_all(&[0; 40]).await };
        let reads = async {
            for _ in 0..4 {
                sleep(LIMIT / 2).await;
                caller.read_exact(&mut [0; 4]).await.unwrap();
            }
        };
        let began = Instant::now();
        tokio::select! {
            () = stalled.lasts(LIMIT) => {}
            (written, ()) = async { tokio::join!(answer, async { reads.await; std::future::pending().await }) } => {
                panic!("{written:?}")
            }
        }
        assert!(began.elapsed() >= 3 * LIMIT && began.elapsed() <= 4 * LIMIT, "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn one_to_whom_nothing_is_written_is_not_found() {
        let (_caller, io) = duplex(64);
        let (mut io, stalled) = Watched::new(io);
        io.write_all(b"all of it").await.unwrap();
        assert!(timeout(LIMIT * 10, stalled.lasts(LIMIT)).await.is_err());
    }
}

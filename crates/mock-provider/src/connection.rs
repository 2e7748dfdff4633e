//! One TCP connection: what the HTTP layer can't say about it, and what it can't do to it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::ledger::{Ending, Record};

/// What a response's body and the connection under it tell each other. HTTP/1 only: there, all of a
/// connection runs in one task, and a flush of the connection means that everything handed over is written.
#[derive(Default)]
pub(crate) struct Control {
    reset: AtomicBool,
    flushes: AtomicU64,
    handed: AtomicU64,
    flushed: AtomicU64,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    /// Exchanges whose whole body was handed over.
    records: Vec<Record>,
    /// A body that goes on after the next flush.
    body: Option<Waker>,
}

impl Control {
    /// From now on, closing the connection resets it.
    pub(crate) fn reset_on_close(&self) {
        self.reset.store(true, Ordering::Release);
    }

    /// A new response's body begins.
    pub(crate) fn begin_body(&self) {
        self.handed.store(0, Ordering::Release);
        self.flushed.store(0, Ordering::Release);
    }

    /// So many more bytes of the body were handed over.
    pub(crate) fn hand_over(&self, bytes: usize) {
        self.handed.fetch_add(bytes as u64, Ordering::AcqRel);
    }

    /// How many bytes of the current body are written for sure.
    pub(crate) fn flushed(&self) -> u64 {
        self.flushed.load(Ordering::Acquire)
    }

    /// The number of flushes so far; grows once everything handed over by now is written.
    pub(crate) fn flushes(&self) -> u64 {
        self.flushes.load(Ordering::Acquire)
    }

    /// Ready once there was a flush after number `seen`.
    pub(crate) fn poll_flushed_since(&self, seen: u64, cx: &Context<'_>) -> Poll<()> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if self.flushes() > seen {
            return Poll::Ready(());
        }
        waiting.body = Some(cx.waker().clone());
        Poll::Pending
    }

    /// The exchange completes with the next flush, or has failed if that never comes.
    pub(crate) fn complete_on_flush(&self, record: Record) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).records.push(record);
    }

    fn note_flush(&self) {
        self.flushed.store(self.handed.load(Ordering::Acquire), Ordering::Release);
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        self.flushes.fetch_add(1, Ordering::AcqRel);
        for mut record in waiting.records.drain(..) {
            record.flushed_in_all();
            record.end(Ending::Completed);
        }
        if let Some(body) = waiting.body.take() {
            body.wake();
        }
    }

    fn note_close(&self) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let flushed = self.flushed();
        for mut record in waiting.records.drain(..) {
            record.flushed(flushed);
        }
    }
}

/// The connection as the HTTP layer sees it.
pub(crate) struct Connection {
    stream: TokioIo<TcpStream>,
    control: Arc<Control>,
}

impl Connection {
    pub(crate) fn new(stream: TcpStream, control: Arc<Control>) -> Self {
        Self { stream: TokioIo::new(stream), control }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.control.note_close();
        if self.control.reset.load(Ordering::Acquire)
            && let Err(error) = self.stream.inner().set_zero_linger()
        {
            tracing::warn!(%error, "the connection can't be reset; it is closed instead");
        }
    }
}

impl Read for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl Write for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    /// The HTTP layer calls this only once its own buffer is empty.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        if matches!(flushed, Poll::Ready(Ok(()))) {
            self.control.note_flush();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }
}

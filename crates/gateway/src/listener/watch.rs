//! How long an HTTP connection may take, and for what.
//!
//! hyper has one timer, for the wait between two requests and the head after it together, and none for a client that
//! does not take its answers.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::Response;
use hyper::body::{Frame, SizeHint};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::stream::Stream;

/// What a client may still send after the last answer, for nothing. If the connection were closed with something
/// unread, the reset would overtake the answer, and who sends a large body would never learn that it is too large.
const LINGER_BYTES_MAX: usize = 16 << 20;

/// How long a connection may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// From the first byte of a request to the end of its head.
    pub(super) head: Duration,
    /// Without any byte of a next request, and without taking any byte of an answer.
    pub(super) keep_alive: Duration,
    /// From the end of what the server sends to the end of what the client sends.
    pub(super) linger: Duration,
}

/// What took too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overdue {
    /// The first request of a connection.
    FirstHead,
    /// The head of another request.
    Head,
    /// The next request.
    Idle,
    /// Nothing of an answer is taken.
    Answer,
    /// The client does not end.
    Linger,
}

/// Where a connection is. Shared by its stream, its answers and its deadline, which all belong to one task.
pub(super) struct Watch {
    times: Times,
    state: Mutex<State>,
}

struct State {
    phase: Phase,
    /// When writing must go on.
    write_by: Option<Instant>,
    /// The last request was refused, perhaps before all of it was read.
    is_rest_unread: bool,
}

#[derive(Clone, Copy)]
enum Phase {
    FirstHead { by: Instant },
    Head { by: Instant },
    Answering,
    Idle { until: Instant },
    Lingering { until: Instant },
}

/// A stream that tells the watch what happens on it.
pub(crate) struct Watched {
    stream: Stream,
    watch: Arc<Watch>,
    /// Bytes that were read after this side had ended.
    lingered_bytes: Option<usize>,
}

/// An answer's body that tells the watch when it is over.
pub(super) struct Answer {
    body: Body,
    watch: Arc<Watch>,
}

// === impl Watch ===

impl Watch {
    /// A connection whose first head must be complete by then.
    pub(super) fn new(times: Times, first_head_by: Instant) -> Arc<Self> {
        let phase = Phase::FirstHead { by: first_head_by };
        let state = State { phase, write_by: None, is_rest_unread: false };
        Arc::new(Self { times, state: Mutex::new(state) })
    }

    /// A head is complete.
    pub(super) fn answering(&self) {
        self.state.lock().phase = Phase::Answering;
    }

    /// The answer to a request with or without a body. When its own body is gone the next request may come.
    pub(super) fn answer(self: Arc<Self>, response: Response<Body>, has_body: bool) -> Response<Answer> {
        self.state.lock().is_rest_unread = has_body && !response.status().is_success();
        response.map(|body| Answer { body, watch: self })
    }

    /// Waits until something takes too long. To be polled after each time that the connection was.
    pub(super) async fn overdue(&self) -> Overdue {
        let mut sleep: Option<Pin<Box<Sleep>>> = None;
        poll_fn(|cx| {
            let Some((at, overdue)) = self.state.lock().next() else { return Poll::Pending };
            let sleep = sleep.get_or_insert_with(|| Box::pin(sleep_until(at)));
            if sleep.deadline() != at {
                sleep.as_mut().reset(at);
            }
            sleep.as_mut().poll(cx).map(|()| overdue)
        })
        .await
    }

    fn read(&self) {
        let mut state = self.state.lock();
        if let Phase::Idle { .. } = state.phase {
            state.phase = Phase::Head { by: Instant::now() + self.times.head };
        }
    }

    fn written<T>(&self, result: &Poll<io::Result<T>>) {
        let mut state = self.state.lock();
        match result {
            Poll::Pending => {
                state.write_by.get_or_insert_with(|| Instant::now() + self.times.keep_alive);
            }
            Poll::Ready(_) => {
                let was_stalled = state.write_by.take().is_some();
                if was_stalled && let Phase::Idle { until } = &mut state.phase {
                    *until = Instant::now() + self.times.keep_alive;
                }
            }
        }
    }

    fn answered(&self) {
        self.state.lock().phase = Phase::Idle { until: Instant::now() + self.times.keep_alive };
    }

    /// This side has ended. Answers whether there is something to wait for.
    fn lingers(&self) -> bool {
        let mut state = self.state.lock();
        state.phase = Phase::Lingering { until: Instant::now() + self.times.linger };
        state.is_rest_unread
    }
}

impl State {
    fn next(&self) -> Option<(Instant, Overdue)> {
        let phase = match self.phase {
            Phase::FirstHead { by } => Some((by, Overdue::FirstHead)),
            Phase::Head { by } => Some((by, Overdue::Head)),
            Phase::Answering => None,
            // The answer is complete, but the client does not have it yet.
            Phase::Idle { .. } if self.write_by.is_some() => None,
            Phase::Idle { until } => Some((until, Overdue::Idle)),
            Phase::Lingering { until } => Some((until, Overdue::Linger)),
        };
        let write = self.write_by.map(|by| (by, Overdue::Answer));
        [phase, write].into_iter().flatten().min_by_key(|(at, _)| *at)
    }
}

// === impl Watched ===

impl Watched {
    pub(super) fn new(stream: Stream, watch: Arc<Watch>) -> Self {
        Self { stream, watch, lingered_bytes: None }
    }

    /// The stream, for another protocol.
    pub(crate) fn into_inner(self) -> Stream {
        self.stream
    }

    fn poll_linger(&mut self, cx: &mut Context<'_>, mut lingered_bytes: usize) -> Poll<()> {
        let mut bytes = [0; 4096];
        while lingered_bytes < LINGER_BYTES_MAX {
            let mut buffer = ReadBuf::new(&mut bytes);
            match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {
                    lingered_bytes += buffer.filled().len();
                    self.lingered_bytes = Some(lingered_bytes);
                }
                Ok(()) | Err(_) => break,
            }
        }
        Poll::Ready(())
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.watch.read();
        }
        read
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.watch.written(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.watch.written(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.watch.written(&flushed);
        flushed
    }

    /// Ends this side, and waits for the other where it may still be sending.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let lingered_bytes = match self.lingered_bytes {
            Some(lingered_bytes) => lingered_bytes,
            None => {
                let shut_down = Pin::new(&mut self.stream).poll_shutdown(cx);
                self.watch.written(&shut_down);
                ready!(shut_down)?;
                if !self.watch.lingers() {
                    return Poll::Ready(Ok(()));
                }
                *self.lingered_bytes.insert(0)
            }
        };
        self.poll_linger(cx, lingered_bytes).map(Ok)
    }
}

// === impl Answer ===

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.watch.answered();
    }
}

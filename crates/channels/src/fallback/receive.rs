//! The body of a request that receives.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::time::{Instant, Sleep, sleep};

use super::session::{Next, Session};

/// Silence after which a heartbeat is sent. Proxies end a body that is silent for long, often after 30 or 60 seconds.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(25);

/// A response body that tells what a session has to tell.
pub(super) struct Receiving {
    session: Arc<Session>,
    receiver: u64,
    streaming: bool,
    ended: bool,
    heartbeat: Pin<Box<Sleep>>,
}

impl Receiving {
    pub(super) fn attach(session: Arc<Session>, streaming: bool) -> Self {
        let receiver = session.attach();
        Self { session, receiver, streaming, ended: false, heartbeat: Box::pin(sleep(HEARTBEAT_INTERVAL)) }
    }

    /// Sends a line; a polling request ends with it.
    fn line(&mut self, line: Bytes, last: bool) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.ended = last || !self.streaming;
        self.heartbeat.as_mut().reset(Instant::now() + HEARTBEAT_INTERVAL);
        Poll::Ready(Some(Ok(Frame::data(line))))
    }
}

impl Body for Receiving {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = &mut *self;
        if this.ended {
            return Poll::Ready(None);
        }
        match this.session.next(this.receiver, cx.waker()) {
            Next::Line(line) => this.line(line, false),
            Next::LastLine(line) => this.line(line, true),
            Next::End => Poll::Ready(None),
            Next::Wait => match this.heartbeat.as_mut().poll(cx) {
                Poll::Ready(()) => this.line(Bytes::from_static(b"h\n"), false),
                Poll::Pending => Poll::Pending,
            },
        }
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        self.session.detach(self.receiver);
    }
}

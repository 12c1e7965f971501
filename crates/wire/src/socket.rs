//! A WebSocket's outgoing side, shared by everybody who sends to the client.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task;

use parking_lot::Mutex;

use crate::{Closed, Context, Frame, Pushed, Sink, Tick, Transport, Violation};
use outgoing::{Outgoing, Phase};

mod outgoing;

/// One client's WebSocket: the [`Sink`] of its frames.
///
/// Whoever flushes writes to the transport directly; no task is woken for a delivery that the system takes at
/// once. Only when it takes no more does the connection's task, in [`serve`](crate::serve), wait for the
/// transport and write the rest. Until then pushes only queue, up to
/// [`queue_bytes_max`](crate::Limits::queue_bytes_max).
pub struct Socket {
    transport: Transport,
    context: Arc<Context>,
    slow_consumer: (u16, &'static str),
    /// A [`Tick`]. Written by the connection's task, read by timers.
    last_inbound: AtomicU32,
    /// Whether the phase is `Open`, for those who only want to know; the truth is in `outgoing`.
    open: AtomicBool,
    /// Locked for a few instructions by a push, for a system call that does not wait by a flush.
    outgoing: Mutex<Outgoing>,
}

impl Socket {
    /// A socket on a stream whose handshake is done. `slow_consumer` is the code and reason of the close that a
    /// client gets whose queue overflows.
    pub fn new(transport: Transport, context: Arc<Context>, slow_consumer: (u16, &'static str)) -> Self {
        Self {
            transport,
            context,
            slow_consumer,
            last_inbound: AtomicU32::new(Tick::now().0),
            open: AtomicBool::new(true),
            outgoing: Mutex::default(),
        }
    }

    /// When the last whole frame came from the client, or the socket was made. A client that sends a frame byte
    /// by byte is not heard until its end.
    pub fn last_inbound(&self) -> Tick {
        Tick(self.last_inbound.load(Ordering::Relaxed))
    }

    /// Bytes that wait to be written.
    pub fn bytes_queued(&self) -> usize {
        self.outgoing.lock().queue.bytes()
    }

    /// Whether frames can still be pushed: neither side has closed and the stream has not broken.
    pub fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire)
    }

    /// What the connections of its kind share.
    pub fn context(&self) -> &Arc<Context> {
        &self.context
    }

    pub(crate) fn transport(&self) -> &Transport {
        &self.transport
    }

    pub(crate) fn heard_at(&self, tick: Tick) {
        self.last_inbound.store(tick.0, Ordering::Relaxed);
    }

    /// Queues the answer to a ping, to be flushed by the caller. While the client takes nothing, only the latest
    /// answer is kept (RFC 6455, section 5.5.3), so that a flood of pings queues nothing.
    pub(crate) fn pong(&self, payload: &[u8]) {
        self.with_outgoing(|outgoing| {
            if outgoing.phase != Phase::Open {
                return;
            }
            let pong = Frame::pong(payload).bytes().clone();
            if outgoing.stalled || !outgoing.queue.fits(pong.len(), self.context.limits.queue_bytes_max) {
                outgoing.pong = Some(pong);
            } else {
                outgoing.queue.push_back(pong);
            }
        });
    }

    /// Answers the peer's close with its own code.
    pub(crate) fn close_for_peer(&self, code: Option<u16>) {
        let answer = code.map_or_else(Frame::close_empty, |code| Frame::close(code, ""));
        self.begin_close(Closed::ByPeer(code.unwrap_or(1005)), &answer);
    }

    /// Closes because the client broke the protocol or a limit.
    pub(crate) fn fail(&self, violation: Violation) {
        self.context.observer.violated(violation);
        self.close(violation.code(), &violation.to_string());
    }

    fn begin_close(&self, closed: Closed, frame: &Frame) {
        self.with_outgoing(|outgoing| {
            if outgoing.phase == Phase::Open {
                self.queue_close(outgoing, closed, frame);
            }
        });
    }

    /// The stream has ended or broken: nothing more can be written.
    pub(crate) fn end(&self) {
        self.with_outgoing(|outgoing| self.end_locked(outgoing));
    }

    /// How the connection ended, or is ending.
    pub(crate) fn closed(&self) -> Closed {
        match self.outgoing.lock().phase {
            Phase::Open => Closed::Dropped,
            Phase::Closing(closed) | Phase::Ended(closed) => closed,
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.outgoing.lock().phase, Phase::Ended(_))
    }

    /// Ends the stream in both directions and forgets the task, which is ending.
    pub(crate) fn disconnect(&self) {
        self.end();
        self.outgoing.lock().waker = None;
        self.transport.shutdown();
    }

    /// Runs `change` under the lock, and wakes the connection's task after it where the change asks for that.
    fn with_outgoing<R>(&self, change: impl FnOnce(&mut Outgoing) -> R) -> R {
        let mut outgoing = self.outgoing.lock();
        let result = change(&mut outgoing);
        let waker: Option<task::Waker> = if outgoing.take_wake() { outgoing.waker.take() } else { None };
        drop(outgoing);
        if let Some(waker) = waker {
            waker.wake();
        }
        result
    }
}

impl Sink for Socket {
    fn push(&self, frame: &Frame) -> Pushed {
        self.with_outgoing(|outgoing| self.push_locked(outgoing, frame))
    }

    fn flush(&self) {
        self.with_outgoing(|outgoing| {
            if !outgoing.stalled && !matches!(outgoing.phase, Phase::Ended(_)) {
                self.write(outgoing);
            }
        });
    }

    /// Code 1005 sends a close without a code, as RFC 6455 means it. The time-out of the close begins when the
    /// connection's task sees it; before [`serve`](crate::serve) there is none.
    fn close(&self, code: u16, reason: &str) {
        let frame = if code == 1005 { Frame::close_empty() } else { Frame::close(code, reason) };
        self.begin_close(Closed::ByServer(code), &frame);
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests;

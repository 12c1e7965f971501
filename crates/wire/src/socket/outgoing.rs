//! What waits to be written to a client, and the writing of it.

use std::io;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use super::Socket;
use crate::queue::Queue;
use crate::{Closed, Frame, Pushed};

/// The state that a socket's lock guards.
#[derive(Default)]
pub(super) struct Outgoing {
    pub(super) queue: Queue,
    pub(super) phase: Phase,
    /// The transport took no more. The connection's task waits for it; nobody else writes.
    pub(super) stalled: bool,
    /// The answer to the latest ping, while stalled. Goes first at the next end of a frame.
    pub(super) pong: Option<Bytes>,
    /// The connection's task, where it waits.
    pub(super) waker: Option<Waker>,
    /// The task has something to do that it does not know of.
    wake: bool,
    /// Queued bytes that the observer knows of.
    reported: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    #[default]
    Open,
    /// The close frame is the last of the queue, or is written.
    Closing(Closed),
    /// Nothing can be written any more.
    Ended(Closed),
}

impl Outgoing {
    pub(super) fn take_wake(&mut self) -> bool {
        std::mem::take(&mut self.wake)
    }

    /// Notes the task that is now about to wait, which therefore needs no waking for what was before.
    fn register(&mut self, cx: &Context<'_>) {
        match &self.waker {
            Some(waker) if waker.will_wake(cx.waker()) => {}
            _ => self.waker = Some(cx.waker().clone()),
        }
    }
}

impl Socket {
    pub(super) fn push_locked(&self, outgoing: &mut Outgoing, frame: &Frame) -> Pushed {
        let bytes_max = self.context.limits.queue_bytes_max;
        let frame = frame.bytes();
        let fits = |outgoing: &Outgoing| outgoing.queue.fits(frame.len(), bytes_max);
        if outgoing.phase == Phase::Open && !outgoing.stalled && !fits(outgoing) {
            // A large batch is no slow consumer: the client has had no chance to take what is queued.
            self.write(outgoing);
        }
        if outgoing.phase != Phase::Open {
            return Pushed::Closed;
        }
        if !fits(outgoing) {
            self.overflow(outgoing);
            return Pushed::Overflow;
        }
        outgoing.queue.push_back(frame.clone());
        if outgoing.stalled {
            self.report(outgoing);
        }
        Pushed::Queued
    }

    fn overflow(&self, outgoing: &mut Outgoing) {
        outgoing.queue.drop_unstarted();
        outgoing.pong = None;
        self.context.observer.overflow();
        let (code, reason) = self.slow_consumer;
        self.queue_close(outgoing, Closed::ByServer(code), &Frame::close(code, reason));
    }

    /// Queues the last frame, and leaves the rest of the close to the connection's task.
    pub(super) fn queue_close(&self, outgoing: &mut Outgoing, closed: Closed, frame: &Frame) {
        outgoing.queue.push_back(frame.bytes().clone());
        outgoing.phase = Phase::Closing(closed);
        outgoing.wake = true;
        self.open.store(false, Ordering::Release);
        if outgoing.stalled {
            self.report(outgoing);
        } else {
            self.write(outgoing);
        }
    }

    /// Writes until the queue is empty or the transport takes no more.
    pub(super) fn write(&self, outgoing: &mut Outgoing) {
        let (mut bytes, mut frames) = (0, 0);
        let result = loop {
            if !outgoing.queue.is_inside_frame()
                && let Some(pong) = outgoing.pong.take()
            {
                outgoing.queue.push_front(pong);
            }
            if outgoing.queue.is_empty() {
                break self.transport.try_flush();
            }
            match outgoing.queue.with_next(|slices| self.transport.try_write_vectored(slices)) {
                Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    bytes += written;
                    frames += outgoing.queue.advance(written);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        if bytes > 0 {
            self.context.observer.bytes_written(bytes);
            self.context.observer.frames_written(frames);
        }
        outgoing.stalled = false;
        match result {
            Ok(()) => self.report(outgoing),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                outgoing.stalled = true;
                outgoing.wake = true;
                self.report(outgoing);
            }
            Err(_broken) => self.end_locked(outgoing),
        }
    }

    pub(super) fn end_locked(&self, outgoing: &mut Outgoing) {
        let closed = match outgoing.phase {
            Phase::Open => Closed::Dropped,
            Phase::Closing(closed) | Phase::Ended(closed) => closed,
        };
        outgoing.phase = Phase::Ended(closed);
        outgoing.queue.clear();
        outgoing.pong = None;
        outgoing.stalled = false;
        outgoing.wake = true;
        self.open.store(false, Ordering::Release);
        self.report(outgoing);
    }

    /// Tells the observer how the queue has changed since it was last told.
    fn report(&self, outgoing: &mut Outgoing) {
        let (now, before) = (outgoing.queue.bytes(), outgoing.reported);
        if now != before {
            outgoing.reported = now;
            // Both are bounded by the memory there is.
            self.context.observer.queued(now as i64 - before as i64);
        }
    }

    /// Waits until there is something to read, or the socket is no longer open; writes meanwhile.
    pub(crate) fn poll_wait(&self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.poll_open(cx) {
            return Poll::Ready(());
        }
        match self.transport.poll_read_ready(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(())) => Poll::Ready(()),
            Poll::Ready(Err(_shutting_down)) => {
                self.end();
                Poll::Ready(())
            }
        }
    }

    /// Goes on with a stalled write, and answers whether the socket is open. The task is woken when it may not be
    /// any more, or when more can be written.
    pub(crate) fn poll_open(&self, cx: &mut Context<'_>) -> bool {
        let outgoing = &mut *self.outgoing.lock();
        self.poll_stalled(cx, outgoing);
        outgoing.phase == Phase::Open
    }

    /// Waits until everything is written, or nothing more can be.
    pub(crate) fn poll_written(&self, cx: &mut Context<'_>) -> Poll<()> {
        let outgoing = &mut *self.outgoing.lock();
        self.poll_stalled(cx, outgoing);
        if outgoing.queue.is_empty() && !outgoing.stalled { Poll::Ready(()) } else { Poll::Pending }
    }

    fn poll_stalled(&self, cx: &mut Context<'_>, outgoing: &mut Outgoing) {
        outgoing.register(cx);
        while outgoing.stalled {
            match self.transport.poll_write_ready(cx) {
                Poll::Pending => break,
                Poll::Ready(Ok(())) => self.write(outgoing),
                Poll::Ready(Err(_shutting_down)) => self.end_locked(outgoing),
            }
        }
        // The caller is the task, and awake.
        outgoing.wake = false;
    }
}

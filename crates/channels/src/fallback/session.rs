//! A session: what is to be told to a client until it asks, and what it said.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use bytes::Bytes;
use courant_auth::limits::AddressGuard;
use courant_telemetry::Metrics;
use courant_telemetry::metrics::labels::Limit;
use courant_wire::{Frame, Pushed, Sink, Tick};
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};

use crate::CloseCode;
use crate::connection::Peer;
use crate::message::quoted;

/// How long a session waits for its client to ask again. A poll that ends is followed by the next at once.
pub(super) const ABSENCE_MAX: Duration = Duration::from_secs(10);

/// The most that one line of messages carries, so that a large queue does not become one large allocation.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// A session of the fallback. It is the [`Sink`] of its connection.
pub(super) struct Session {
    outgoing: Mutex<Outgoing>,
    incoming: mpsc::Sender<String>,
    queue_bytes_max: usize,
    message_bytes_max: usize,
    metrics: Arc<Metrics>,
    /// Wakes the session's task when the session ends.
    pub(super) ended: Notify,
    /// The place among the connections of its address.
    _guard: AddressGuard,
}

struct Outgoing {
    queue: VecDeque<Bytes>,
    queued_bytes: usize,
    opened: bool,
    closing: Option<(u16, String)>,
    /// The close was told.
    closed: bool,
    /// Counts the requests that received; only the newest one does.
    receiver: u64,
    waker: Option<Waker>,
    /// Since when no request receives.
    absent_since: Option<Instant>,
    last_inbound: Tick,
}

/// What a receiving request does next.
pub(super) enum Next {
    /// Sends this line.
    Line(Bytes),
    /// Sends this line and ends.
    LastLine(Bytes),
    /// Waits to be woken.
    Wait,
    /// Ends: another request receives now, or the session is over.
    End,
}

impl Session {
    pub(super) fn new(
        queue_bytes_max: usize,
        message_bytes_max: usize,
        metrics: Arc<Metrics>,
        guard: AddressGuard,
    ) -> (Self, mpsc::Receiver<String>) {
        let (incoming, messages) = mpsc::channel(64);
        let now = Instant::now();
        let outgoing = Outgoing {
            queue: VecDeque::new(),
            queued_bytes: 0,
            opened: false,
            closing: None,
            closed: false,
            receiver: 0,
            waker: None,
            absent_since: Some(now),
            last_inbound: Tick::now(),
        };
        let outgoing = Mutex::new(outgoing);
        let ended = Notify::new();
        let session =
            Self { outgoing, incoming, queue_bytes_max, message_bytes_max, metrics, ended, _guard: guard };
        (session, messages)
    }

    /// A request begins to receive; an earlier one ends.
    pub(super) fn attach(&self) -> u64 {
        let mut outgoing = self.outgoing.lock();
        outgoing.receiver += 1;
        outgoing.absent_since = None;
        outgoing.last_inbound = Tick::now();
        if let Some(waker) = outgoing.waker.take() {
            waker.wake();
        }
        outgoing.receiver
    }

    /// A request stops receiving.
    pub(super) fn detach(&self, receiver: u64) {
        let mut outgoing = self.outgoing.lock();
        if outgoing.receiver == receiver {
            outgoing.waker = None;
            outgoing.absent_since = Some(Instant::now());
        }
    }

    /// What the receiving request does now; where it waits, `waker` is woken for more.
    pub(super) fn next(&self, receiver: u64, waker: &Waker) -> Next {
        let mut outgoing = self.outgoing.lock();
        if outgoing.receiver != receiver || outgoing.closed {
            return Next::End;
        }
        if !outgoing.opened {
            outgoing.opened = true;
            return Next::Line(Bytes::from_static(b"o\n"));
        }
        if !outgoing.queue.is_empty() {
            return Next::Line(outgoing.line());
        }
        if let Some((code, reason)) = &outgoing.closing {
            let line = format!("c[{code},{}]\n", quoted(reason));
            outgoing.closed = true;
            self.ended.notify_one();
            return Next::LastLine(line.into());
        }
        outgoing.waker = Some(waker.clone());
        Next::Wait
    }

    /// Takes messages of the client. Waits while the connection has too many to read; `false` when it is over.
    pub(super) async fn take(&self, messages: Vec<String>) -> bool {
        {
            let mut outgoing = self.outgoing.lock();
            if outgoing.closing.is_some() {
                return false;
            }
            outgoing.last_inbound = Tick::now();
        }
        for message in messages {
            if message.len() > self.message_bytes_max {
                self.metrics.limit_hits.of(Limit::MessageBytes).inc();
                self.close(1009, "message is larger than allowed");
                return true;
            }
            if self.incoming.send(message).await.is_err() {
                return false;
            }
        }
        true
    }

    /// The code it closes with, once it does.
    pub(super) fn closing(&self) -> Option<u16> {
        self.outgoing.lock().closing.as_ref().map(|(code, _)| *code)
    }

    /// Whether its close was told.
    pub(super) fn is_closed(&self) -> bool {
        self.outgoing.lock().closed
    }

    /// How long the client has been away, if it is.
    pub(super) fn absent_for(&self) -> Option<Duration> {
        self.outgoing.lock().absent_since.map(|since| since.elapsed())
    }
}

impl Outgoing {
    /// Takes messages off the queue, as one line.
    fn line(&mut self) -> Bytes {
        let mut line = String::from("a[");
        while let Some(payload) = self.queue.pop_front() {
            self.queued_bytes -= payload.len();
            if line.len() > 2 {
                line.push(',');
            }
            line.push_str(&quoted(&String::from_utf8_lossy(&payload)));
            if line.len() >= LINE_BYTES_MAX {
                break;
            }
        }
        line.push_str("]\n");
        line.into()
    }

    fn begin_close(&mut self, code: u16, reason: &str) {
        self.closing.get_or_insert_with(|| (code, reason.to_owned()));
    }
}

impl Sink for Session {
    fn push(&self, frame: &Frame) -> Pushed {
        let mut outgoing = self.outgoing.lock();
        if outgoing.closing.is_some() {
            return Pushed::Closed;
        }
        let payload = frame.payload();
        // As for a WebSocket, nothing is too large for an empty queue.
        if outgoing.queued_bytes > 0 && outgoing.queued_bytes + payload.len() > self.queue_bytes_max {
            outgoing.queue = VecDeque::new();
            outgoing.queued_bytes = 0;
            outgoing.begin_close(CloseCode::OverCapacity.code(), "messages are not read fast enough");
            self.metrics.slow_consumers.inc();
            self.metrics.limit_hits.of(Limit::QueueBytes).inc();
            self.ended.notify_one();
            return Pushed::Overflow;
        }
        outgoing.queued_bytes += payload.len();
        outgoing.queue.push_back(payload);
        Pushed::Queued
    }

    fn flush(&self) {
        if let Some(waker) = self.outgoing.lock().waker.take() {
            waker.wake();
        }
    }

    fn close(&self, code: u16, reason: &str) {
        self.outgoing.lock().begin_close(code, reason);
        self.ended.notify_one();
        self.flush();
    }
}

impl Peer for Session {
    fn last_inbound(&self) -> Tick {
        self.outgoing.lock().last_inbound
    }
}

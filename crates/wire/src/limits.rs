//! What a connection may use, and who counts what it does.

use std::sync::Arc;
use std::time::Duration;

use crate::Violation;

/// The bounds of one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of payload in one message, all its fragments together; a longer one is answered with close 1009,
    /// as soon as a header announces it. Default 64 KiB.
    pub message_bytes_max: usize,
    /// Bytes of payload in one data frame, likewise. Default 64 KiB.
    pub frame_bytes_max: usize,
    /// Frames in one message, 0 for no bound; one more is answered with close 1008. Default 64: fragments of
    /// no payload cost the server work that no bound on bytes would stop.
    pub fragments_max: u32,
    /// Bytes that wait to be written, with 32 bytes of bookkeeping for each frame; a frame that does not fit
    /// makes the client a slow consumer, unless nothing else waits. Default 1 MiB.
    pub queue_bytes_max: usize,
    /// How long a close may take, from the decision to the end of the stream: the queue is written, the peer
    /// answers. Then the stream is reset. Default 5 s.
    pub close_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes_max: 64 * 1024,
            frame_bytes_max: 64 * 1024,
            fragments_max: 64,
            queue_bytes_max: 1024 * 1024,
            close_timeout: Duration::from_secs(5),
        }
    }
}

/// What connections of one kind share.
pub struct Context {
    /// The bounds of each connection.
    pub limits: Limits,
    /// Who counts what they do.
    pub observer: Arc<dyn Observer>,
}

impl Context {
    /// A context whose connections nobody observes.
    pub fn new(limits: Limits) -> Self {
        Self { limits, observer: Arc::new(NoObserver) }
    }
}

impl Default for Context {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

/// Counts what connections do. The methods are called from the path of every message, also under a
/// connection's lock: they must be cheap, never wait, and not call back into the connection.
pub trait Observer: Send + Sync {
    /// This many bytes came from a client, headers included, inside TLS.
    fn bytes_read(&self, _bytes: usize) {}

    /// This many bytes went to a client, headers included, inside TLS.
    fn bytes_written(&self, _bytes: usize) {}

    /// This many frames were written to their end.
    fn frames_written(&self, _frames: usize) {}

    /// The bytes that wait in queues became more, or fewer. Frames that are written as soon as they are queued
    /// are not reported.
    fn queued(&self, _delta: i64) {}

    /// A client became a slow consumer.
    fn overflow(&self) {}

    /// A client broke the protocol or a limit, and is told so by a close.
    fn violated(&self, _violation: Violation) {}
}

/// An observer that counts nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoObserver;

impl Observer for NoObserver {}

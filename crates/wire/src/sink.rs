//! Where frames for one client go.

use crate::Frame;

/// The outgoing side of one client, whatever carries it: a WebSocket, or an HTTP fallback session.
///
/// All calls are cheap, never wait and may come from any thread. `push` and `flush` are apart so that a
/// fan-out worker can queue several frames and then write them with one system call.
pub trait Sink: Send + Sync {
    /// Queues a frame behind those already queued. Writes nothing.
    fn push(&self, frame: &Frame) -> Pushed;

    /// Writes as much of the queue as the transport takes now; the rest follows by itself when it can.
    fn flush(&self);

    /// Ends the client: what is queued is written first, then a close with this code and reason. The first
    /// close counts, later ones do nothing.
    fn close(&self, code: u16, reason: &str);
}

/// What became of a pushed frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Pushed {
    /// It is queued.
    Queued,
    /// It did not fit into the bound on queued bytes. The client is being closed as a slow consumer (the
    /// sink does that itself, once), and nothing more reaches it.
    Overflow,
    /// The client is closed or closing; the frame is dropped.
    Closed,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// The peer sent a close frame with this code (1005 where it carried none).
    ByPeer(u16),
    /// This side closed with this code.
    ByServer(u16),
    /// The stream ended or failed without a close.
    Dropped,
}

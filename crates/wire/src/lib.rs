//! RFC 6455 server side on a raw stream: shared frames, coalesced writes, timers. No protocol above it.
//!
//! - [`Frame`]: a message encoded once, written to every recipient as it is.
//! - [`Sink`]: the outgoing side of a client; [`Socket`] is the one that is a WebSocket.
//! - [`serve`]: a connection's only task. It reads, answers pings, hands messages to a [`Handler`], and writes
//!   what a direct write could not.
//! - [`Decoder`]: the incoming side, pure: bytes in, events out.
//! - [`handshake`]: judges the HTTP request that asks for the upgrade.
//! - [`Wheel`]: one-second timers for a great many connections.
//!
//! An idle connection holds no buffer, neither for reading nor for writing.

mod clock;
mod decoder;
mod frame;
pub mod handshake;
mod limits;
mod queue;
mod scratch;
mod serve;
mod sink;
mod socket;
#[cfg(test)]
mod testing;
mod transport;
mod wheel;

pub use clock::Tick;
pub use decoder::{Decoded, Decoder, Event, Violation};
pub use frame::Frame;
pub use limits::{Context, Limits, NoObserver, Observer};
pub use serve::{Handler, Step, serve};
pub use sink::{Closed, Pushed, Sink};
pub use socket::Socket;
pub use transport::Transport;
pub use wheel::{Timed, Wheel};

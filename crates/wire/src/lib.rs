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
//!
//! ```
//! use std::sync::Arc;
//!
//! use bytes::Bytes;
//! use courant_wire::{Closed, Context, Frame, Handler, Sink, Socket, Step, Transport, serve};
//!
//! /// Sends texts back.
//! struct Echo(Arc<Socket>);
//!
//! impl Handler for Echo {
//!     fn text(&mut self, text: &str) -> Step<'_> {
//!         let _closing = self.0.push(&Frame::text(text));
//!         Step::Done
//!     }
//!
//!     fn binary(&mut self, _data: &[u8]) -> Step<'_> {
//!         self.0.close(1003, "text only");
//!         Step::Done
//!     }
//! }
//!
//! /// Takes over once the handshake is answered. `leftover` is what the client sent right after it.
//! async fn connection(tcp: tokio::net::TcpStream, leftover: Bytes, context: Arc<Context>) -> Closed {
//!     let socket = Arc::new(Socket::new(Transport::plain(tcp), context, (1013, "slow consumer")));
//!     serve(socket.clone(), leftover, Echo(socket)).await
//! }
//! ```

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

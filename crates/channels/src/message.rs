//! The messages of the WebSocket protocol.

mod client;
mod server;

pub use client::{ClientMessage, NotAMessage};
pub use server::{ServerEvent, WatchlistChange, decoded_len, quoted};

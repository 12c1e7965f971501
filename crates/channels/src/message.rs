//! The messages of the WebSocket protocol.

mod client;
mod server;

use serde::Deserialize;
use serde::de::Error as _;

pub use client::{ClientMessage, NotAMessage};
pub use server::{ServerEvent, WatchlistChange, decoded_len, quoted};

/// Reads a JSON object. Serde would take an array of the right length for any of our structs.
pub(crate) fn object<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T, serde_json::Error> {
    if !json.trim_start().starts_with('{') {
        return Err(serde_json::Error::custom("expected an object"));
    }
    serde_json::from_str(json)
}

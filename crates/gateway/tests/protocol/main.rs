//! The WebSocket protocol, against a server process.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

#[path = "../support/lib.rs"]
mod support;

mod connecting;

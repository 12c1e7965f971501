//! The WebSocket protocol, against a server process.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

#[path = "../support/lib.rs"]
mod support;

mod cache;
mod client_events;
mod closing;
mod connecting;
mod counting;
mod delivery;
mod liveness;
mod subscribing;
mod unsubscribing;
mod users;
mod watchlist;

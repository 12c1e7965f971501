//! How a server process is run: what it lets clients do, how it is told about, how it starts and stops.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]
#![allow(unreachable_pub, reason = "nobody reaches into a test")]

#[path = "../support/lib.rs"]
mod support;

mod bystander;
mod raw;

mod cli;
mod drain;
mod hostile_frames;
mod hostile_http;
mod hostile_slow;
mod limits_connections;
mod limits_fallback;
mod limits_queue;
mod process;
mod proxy;
mod receiver;
mod telemetry;
mod telemetry_logs;
mod telemetry_traces;
mod tls;
mod webhooks;
mod webhooks_restart;

//! What tests of the whole server share: a server process, and clients that speak as little as possible by themselves, so
//! that a test sees every byte.
//!
//! | module | what it is |
//! |---|---|
//! | [`server`] | a `courant` process with its own ports and data directory |
//! | [`app`] | applications of a test's configuration |
//! | [`websocket`] | frames, masks, closes |
//! | [`pusher`] | the Pusher protocol on it: events |
//! | [`http`] | requests and responses, also endless ones |
//! | [`api`] | signed requests to the HTTP API |
//! | [`xhr`] | the HTTP fallback, as pusher-js uses it |
//!
//! A test binary includes it with `#[path = "../support/lib.rs"] mod support;`.
//!
//! Nothing here sleeps to let something happen: every wait is for a message, with [`PATIENCE`] as its end.

#![allow(dead_code, unused_imports, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]
#![allow(unreachable_pub, reason = "it is a library in all but name")]

pub mod api;
pub mod app;
pub mod http;
pub mod pusher;
pub mod server;
pub mod websocket;
pub mod xhr;

use std::future::Future;
use std::time::Duration;

pub use api::Api;
pub use app::App;
pub use pusher::{Event, Pusher};
pub use server::Server;
pub use websocket::{Message, WebSocket};
pub use xhr::Xhr;

/// How long anything may take before a test fails. Far more than it needs on a slow and busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Waits for something that must happen.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(output) => output,
        Err(_) => panic!("{what}: nothing for {PATIENCE:?}"),
    }
}

/// Waits until a question, asked again and again, is answered with something. For states that nobody is told about.
pub async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    soon(what, async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
}

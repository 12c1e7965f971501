//! The HTTP fallback, as pusher-js uses it, against a server process.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

#[path = "../support/lib.rs"]
mod support;

mod ending;
mod polling;
mod requests;
mod streaming;

use serde_json::{Value, json};
use support::xhr::{Lines, messages};

/// A message that subscribes to a public channel.
fn subscribe(channel: &str) -> Value {
    json!({"event": "pusher:subscribe", "data": {"auth": "", "channel": channel}})
}

/// A message that asks for an answer.
fn ping() -> Value {
    json!({"event": "pusher:ping", "data": {}})
}

fn succeeded(channel: &str) -> Value {
    json!({"event": "pusher_internal:subscription_succeeded", "channel": channel, "data": "{}"})
}

fn pong() -> Value {
    json!({"event": "pusher:pong", "data": "{}"})
}

/// The socket id that the first message tells.
fn socket_id(message: &Value) -> String {
    assert_eq!(message["event"], "pusher:connection_established");
    let data: Value = serde_json::from_str(message["data"].as_str().unwrap()).unwrap();
    data["socket_id"].as_str().unwrap().to_owned()
}

/// Messages of a streaming response, which may put several into a line.
struct Inbox {
    lines: Lines,
    unread: std::collections::VecDeque<Value>,
}

impl Inbox {
    fn new(lines: Lines) -> Self {
        Self { lines, unread: std::collections::VecDeque::new() }
    }

    /// The next message.
    async fn next(&mut self) -> Value {
        while self.unread.is_empty() {
            let line = self.lines.next().await.expect("a line");
            if line != "h" {
                self.unread.extend(messages(&line));
            }
        }
        self.unread.pop_front().unwrap()
    }
}

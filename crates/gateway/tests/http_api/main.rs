//! The HTTP API, against a server process.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

#[path = "../support/lib.rs"]
mod support;

mod asking;
mod bodies;
mod publishing;
mod refusing;
mod signing;

use support::http::Response;

/// Fails unless the answer is this JSON to the letter.
fn assert_json(response: &Response, text: &str) {
    assert_eq!((response.status, response.text().as_str()), (200, text));
    assert_eq!(response.header("content-type"), Some("application/json"));
}

/// Fails unless the answer is this refusal: a line of plain text.
fn assert_refused(response: &Response, status: u16, text: &str) {
    assert_eq!((response.status, response.text()), (status, format!("{text}\n")));
    assert_eq!(response.header("content-type"), Some("text/plain; charset=utf-8"));
}

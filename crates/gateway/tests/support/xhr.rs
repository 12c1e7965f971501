//! The HTTP fallback, as pusher-js uses it (`src/core/http`).

use std::net::SocketAddr;

use serde_json::Value;

use super::http::{self, Incoming, Response};
use super::{App, Server, soon};

/// A client's session: requests that receive, one after the other, and requests that send beside them.
pub struct Xhr {
    address: SocketAddr,
    /// `/pusher/app/{key}/{server}/{session}`
    pub path: String,
    pub query: String,
    pub headers: Vec<(&'static str, String)>,
}

/// An endless response, line by line.
pub struct Lines {
    pub response: Incoming,
    unread: String,
}

impl Xhr {
    /// A session of this name; nothing is sent yet.
    pub fn new(server: &Server, app: &App, session: &str) -> Self {
        Self {
            address: server.address,
            path: format!("/pusher/app/{}/123/{session}", app.key),
            query: "?protocol=7&client=js&version=8.6.0&t=1700000000000&n=1".into(),
            headers: vec![
                ("content-type", "application/json".into()),
                ("origin", "http://example.com".into()),
            ],
        }
    }

    /// `xhr_streaming`: begins to receive.
    pub async fn stream(&self) -> Lines {
        let response = soon("xhr_streaming", self.send_to("xhr_streaming", b"")).await.unwrap();
        Lines { response, unread: String::new() }
    }

    /// `xhr`: receives one answer.
    pub async fn poll(&self) -> Response {
        soon("xhr", async { self.send_to("xhr", b"").await?.collect().await }).await.unwrap()
    }

    /// The one line of a poll's answer, which must be a success.
    pub async fn poll_line(&self) -> String {
        let response = self.poll().await;
        assert_eq!(response.status, 200, "{}", response.text());
        let text = response.text();
        let line = text.strip_suffix('\n').expect("a line end");
        assert!(!line.contains('\n'), "one line: {text:?}");
        line.to_owned()
    }

    /// `xhr_send`: sends messages.
    pub async fn send(&self, messages: &[Value]) -> Response {
        let texts: Vec<String> = messages.iter().map(Value::to_string).collect();
        self.send_raw(serde_json::to_string(&texts).unwrap().as_bytes()).await
    }

    /// `xhr_send` with any body.
    pub async fn send_raw(&self, body: &[u8]) -> Response {
        soon("xhr_send", async { self.send_to("xhr_send", body).await?.collect().await }).await.unwrap()
    }

    /// What a browser asks before a request.
    pub async fn preflight(&self, endpoint: &str) -> Response {
        let target = format!("{}/{endpoint}{}", self.path, self.query);
        let headers = [
            ("origin", "http://example.com"),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "content-type"),
        ];
        http::request(self.address, "OPTIONS", &target, &headers, b"").await.unwrap()
    }

    async fn send_to(&self, endpoint: &str, body: &[u8]) -> std::io::Result<Incoming> {
        let target = format!("{}/{endpoint}{}", self.path, self.query);
        let headers: Vec<(&str, &str)> =
            self.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        http::send(self.address, "POST", &target, &headers, body).await
    }
}

impl Lines {
    /// The next line without its end; `None` at the end of the body.
    pub async fn next(&mut self) -> Option<String> {
        soon("a line", async {
            loop {
                if let Some(end) = self.unread.find('\n') {
                    let line = self.unread[..end].to_owned();
                    self.unread.drain(..=end);
                    return Some(line);
                }
                match self.response.chunk().await.unwrap() {
                    Some(chunk) => self.unread.push_str(std::str::from_utf8(&chunk).unwrap()),
                    None => {
                        assert!(self.unread.is_empty(), "half a line: {:?}", self.unread);
                        return None;
                    }
                }
            }
        })
        .await
    }

    /// The next line, which must be this one.
    pub async fn expect(&mut self, line: &str) {
        assert_eq!(self.next().await.as_deref(), Some(line));
    }
}

/// The messages in an `a[…]` line.
pub fn messages(line: &str) -> Vec<Value> {
    let texts = line.strip_prefix('a').unwrap_or_else(|| panic!("no messages: {line}"));
    let texts: Vec<String> = serde_json::from_str(texts).unwrap();
    texts.iter().map(|text| serde_json::from_str(text).unwrap()).collect()
}

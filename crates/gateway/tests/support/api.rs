//! Signed requests to the HTTP API.

use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use courant_auth::signature::http::{body_md5, sign};
use serde_json::Value;

use super::http::{self, Response};
use super::{App, Server};

/// An application's own server.
#[derive(Clone, Debug)]
pub struct Api {
    address: SocketAddr,
    app: App,
}

/// A request that can be bent before it is signed and sent.
#[derive(Clone, Debug)]
pub struct Request {
    address: SocketAddr,
    pub app: App,
    pub method: &'static str,
    /// The path as it is sent.
    pub path: String,
    /// The path that is signed; usually the same.
    pub signed_path: String,
    /// All parameters but the signature.
    pub parameters: Vec<(String, String)>,
    /// More for the query string, as it is sent and not signed.
    pub unsigned: String,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

impl Api {
    pub fn new(server: &Server, app: &App) -> Self {
        Self { address: server.address, app: app.clone() }
    }

    /// A request of the application: `path` is what follows `/apps/{id}`.
    pub fn request(&self, method: &'static str, path: &str, body: &[u8]) -> Request {
        let path = format!("/apps/{}{path}", self.app.id);
        self.request_at(method, &path, body)
    }

    /// A request to any path.
    pub fn request_at(&self, method: &'static str, path: &str, body: &[u8]) -> Request {
        let text = |pair: (&str, String)| (pair.0.to_owned(), pair.1);
        let mut parameters = vec![
            text(("auth_key", self.app.key.to_owned())),
            text(("auth_timestamp", now_unix_s().to_string())),
            text(("auth_version", "1.0".to_owned())),
        ];
        if !body.is_empty() {
            parameters.push(text(("body_md5", body_md5(body))));
        }
        Request {
            address: self.address,
            app: self.app.clone(),
            method,
            path: path.to_owned(),
            signed_path: path.to_owned(),
            parameters,
            unsigned: String::new(),
            headers: Vec::new(),
            body: body.to_vec(),
        }
    }

    /// Posts JSON.
    pub async fn post(&self, path: &str, body: &Value) -> Response {
        let mut request = self.request("POST", path, body.to_string().as_bytes());
        request.headers.push(("content-type", "application/json".into()));
        request.send().await
    }

    pub async fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Response {
        self.request("GET", path, b"").with(parameters).send().await
    }

    /// Publishes to a channel, which must succeed.
    pub async fn trigger(&self, channel: &str, event: &str, data: &str) {
        let body = serde_json::json!({"name": event, "channels": [channel], "data": data});
        let response = self.post("/events", &body).await;
        assert_eq!((response.status, response.text().as_str()), (200, "{}"));
    }
}

impl Request {
    /// Adds parameters that are signed.
    pub fn with(mut self, parameters: &[(&str, &str)]) -> Self {
        let added = parameters.iter().map(|&(name, value)| (name.to_owned(), value.to_owned()));
        self.parameters.extend(added);
        self
    }

    /// Replaces a parameter that is signed.
    pub fn replace(mut self, name: &str, value: impl ToString) -> Self {
        self.parameters.retain(|(known, _)| known != name);
        self.with(&[(name, &value.to_string())])
    }

    /// Leaves a parameter out.
    pub fn without(mut self, name: &str) -> Self {
        self.parameters.retain(|(known, _)| known != name);
        self
    }

    /// The signature that it should have.
    pub fn signature(&self) -> String {
        let pairs: Vec<(&str, &str)> =
            self.parameters.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        sign(&self.app.signer(), self.method, &self.signed_path, &pairs)
    }

    /// Signs and sends it.
    pub async fn send(self) -> Response {
        let signature = self.signature();
        self.send_signed(&signature).await
    }

    /// Sends it with this signature.
    pub async fn send_signed(self, signature: &str) -> Response {
        let target = self.target_signed(signature);
        let headers: Vec<(&str, &str)> =
            self.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        http::request(self.address, self.method, &target, &headers, &self.body).await.expect("a response")
    }

    /// The path and query to send it to, signed: for those who send it in a way of their own.
    pub fn target(&self) -> String {
        self.target_signed(&self.signature())
    }

    fn target_signed(&self, signature: &str) -> String {
        let escape = |text: &str| {
            percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
        };
        let mut query: Vec<String> = self
            .parameters
            .iter()
            .map(|(name, value)| format!("{}={}", escape(name), escape(value)))
            .collect();
        query.push(format!("auth_signature={signature}"));
        format!("{}?{}{}", self.path, query.join("&"), self.unsigned)
    }
}

/// Seconds since the Unix epoch.
pub fn now_unix_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

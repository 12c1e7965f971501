//! What receivers get (Pusher webhooks, "Webhook format" and "Authentication").

use bytes::Bytes;
use courant_auth::{KeyPair, WebhookEndpoint, signature};
use http::{HeaderName, HeaderValue, Method, Request, header};
use http_body_util::Full;

use crate::dispatcher::Attempt;
use crate::record::QueuedEvent;

#[cfg(test)]
mod tests;

const PUSHER_KEY: HeaderName = HeaderName::from_static("x-pusher-key");
const PUSHER_SIGNATURE: HeaderName = HeaderName::from_static("x-pusher-signature");
const WEBHOOK_ID: HeaderName = HeaderName::from_static("x-courant-webhook-id");

/// `pusher-http-node` compares with exactly this.
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const USER_AGENT: HeaderValue = HeaderValue::from_static(concat!("courant/", env!("CARGO_PKG_VERSION")));

/// The request of an attempt, signed with a key pair.
///
/// # Errors
/// The key or the id is no legal header value, which neither can be.
pub(crate) fn request(
    attempt: &Attempt,
    endpoint: &WebhookEndpoint,
    pair: &KeyPair,
) -> Result<Request<Full<Bytes>>, http::Error> {
    let body = body(&attempt.events);
    let signature = signature::webhook(&pair.secret, body.as_bytes());
    let key = HeaderValue::from_str(pair.key.as_str())?;
    let signature = HeaderValue::from_str(&signature)?;
    let webhook_id = HeaderValue::from_str(&attempt.webhook_id)?;
    let mut request = Request::new(Full::new(body.into()));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = endpoint.url.clone();
    let headers = request.headers_mut();
    headers.insert(header::USER_AGENT, USER_AGENT);
    for (name, value) in &endpoint.headers {
        headers.insert(name.clone(), value.clone());
    }
    // After the configured ones, which therefore can't replace these.
    headers.insert(header::CONTENT_TYPE, JSON);
    headers.insert(PUSHER_KEY, key);
    headers.insert(PUSHER_SIGNATURE, signature);
    headers.insert(WEBHOOK_ID, webhook_id);
    Ok(request)
}

/// The body. Its time is the last event's, and the same in every attempt: receivers order by it.
fn body(events: &[std::sync::Arc<QueuedEvent>]) -> String {
    let time_ms = events.iter().map(|event| event.time_ms).max().unwrap_or_default();
    let bytes: usize = events.iter().map(|event| event.bytes() + 1).sum();
    let mut body = String::with_capacity(bytes + 48);
    body.push_str(r#"{"time_ms":"#);
    body.push_str(&time_ms.to_string());
    body.push_str(r#","events":["#);
    for (at, event) in events.iter().enumerate() {
        if at > 0 {
            body.push(',');
        }
        body.push_str(event.json.get());
    }
    body.push_str("]}");
    body
}

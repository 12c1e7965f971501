use std::sync::Arc;

use courant_auth::{Key, Secret};
use http_body_util::BodyExt;

use super::*;

fn event(time_ms: u64, json: &str) -> Arc<QueuedEvent> {
    Arc::new(QueuedEvent { time_ms, json: serde_json::from_str(json).unwrap() })
}

fn pair() -> KeyPair {
    KeyPair::new(Key::new("courant-key").unwrap(), Secret::new("courant-secret").unwrap())
}

async fn sent(events: Vec<Arc<QueuedEvent>>, endpoint: &WebhookEndpoint) -> (http::request::Parts, Bytes) {
    let attempt = Attempt { id: 1, webhook_id: "abc-1".into(), events };
    let (head, body) = request(&attempt, endpoint, &pair()).unwrap().into_parts();
    (head, body.collect().await.unwrap().to_bytes())
}

#[tokio::test]
async fn the_body_is_a_time_and_the_events() {
    let endpoint = WebhookEndpoint::new("https://example.com/hook?a=1").unwrap();
    let one = event(1_327_078_148_132, r#"{"name":"channel_occupied","channel":"a"}"#);
    let (head, body) = sent(vec![one.clone()], &endpoint).await;
    assert_eq!((head.method.as_str(), head.uri), ("POST", "https://example.com/hook?a=1".parse().unwrap()));
    assert_eq!(body, r#"{"time_ms":1327078148132,"events":[{"name":"channel_occupied","channel":"a"}]}"#);
    let two = event(1_327_078_148_133, r#"{"name":"channel_vacated","channel":"a"}"#);
    let (_, body) = sent(vec![one, two], &endpoint).await;
    assert_eq!(
        body,
        r#"{"time_ms":1327078148133,"events":[{"name":"channel_occupied","channel":"a"},{"name":"channel_vacated","channel":"a"}]}"#
    );
}

#[tokio::test]
async fn it_is_signed_over_the_raw_body() {
    let endpoint = WebhookEndpoint::new("https://example.com/").unwrap();
    let (head, body) = sent(vec![event(1, r#"{"name":"cache_miss","channel":"cache-ä"}"#)], &endpoint).await;
    assert_eq!(head.headers["content-type"], "application/json");
    assert_eq!(head.headers["x-pusher-key"], "courant-key");
    assert_eq!(head.headers["x-courant-webhook-id"], "abc-1");
    let signature = head.headers["x-pusher-signature"].to_str().unwrap();
    assert!(pair().secret.verifies(&[&body], signature));
    assert_eq!(signature.len(), 64);
}

#[tokio::test]
async fn configured_headers_are_sent_but_replace_nothing_that_receivers_rely_on() {
    let mut endpoint = WebhookEndpoint::new("https://example.com/").unwrap();
    for name in
        ["x-mine", "user-agent", "content-type", "x-pusher-key", "x-pusher-signature", "x-courant-webhook-id"]
    {
        // Past the check of the configuration.
        endpoint.headers.push((name.parse().unwrap(), HeaderValue::from_static("mine")));
    }
    let (head, _) = sent(vec![event(1, "{}")], &endpoint).await;
    let mine: Vec<_> =
        head.headers.iter().filter(|(_, value)| *value == "mine").map(|(name, _)| name.as_str()).collect();
    assert_eq!(mine, ["user-agent", "x-mine"]);
    assert_eq!(head.headers.len(), 6);
}

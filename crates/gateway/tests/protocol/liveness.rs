//! Pings of the server, and connections that do not answer them.

use serde_json::json;

use crate::support::{App, Message, Pusher, Server, until};

async fn impatient(app: &App, pong_timeout: &str) -> Server {
    Server::builder()
        .app(app)
        .env("COURANT_LIVENESS_PING_INTERVAL", "1s")
        .env("COURANT_LIVENESS_PONG_TIMEOUT", pong_timeout)
        .start()
        .await
}

#[tokio::test]
async fn a_silent_client_is_asked_and_then_closed_with_4201() {
    let app = App::usual();
    let server = impatient(&app, "1s").await;
    let mut client = Pusher::connect(&server, &app).await;
    client.expect(r#"{"event":"pusher:ping","data":"{}"}"#).await;
    assert_eq!(client.closed().await, (4201, "pong reply not received in time".into()));
    until("it is counted", async || {
        (server.metric(r#"courant_connections_closed_total{code="4201"}"#).await == 1.0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_client_that_answers_stays() {
    let app = App::usual();
    let server = impatient(&app, "4s").await;
    let mut client = Pusher::connect(&server, &app).await;
    // An answer, and whatever else shows that somebody is there.
    client.expect(r#"{"event":"pusher:ping","data":"{}"}"#).await;
    client.send(&json!({"event": "pusher:pong", "data": {}})).await;
    client.expect(r#"{"event":"pusher:ping","data":"{}"}"#).await;
    client.websocket.send_frame(0x8a, b"").await;
    client.expect(r#"{"event":"pusher:ping","data":"{}"}"#).await;
    client.expect_silence().await;
}

#[tokio::test]
async fn clients_of_protocol_4_are_not_asked() {
    let app = App::usual();
    let server = impatient(&app, "1s").await;
    let mut old = Pusher::connect_at(&server, &app, "?protocol=4", &[]).await;
    let mut new = Pusher::connect_at(&server, &app, "?protocol=5", &[]).await;
    assert_eq!(new.closed().await.0, 4201);
    old.send(&json!({"event": "pusher:ping", "data": {}})).await;
    let Message::Text(text) = old.next_message().await else { panic!("a closed connection") };
    assert_eq!(text, r#"{"event":"pusher:pong","data":"{}"}"#);
}

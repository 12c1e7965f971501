//! The first message, and what is no message.

use serde_json::json;

use crate::support::{App, Message, Pusher, Server};

#[tokio::test]
async fn the_first_message_tells_the_socket_id_and_the_activity_timeout() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let mut client = Pusher::connect(&server, &app).await;
    let (high, low) = client.socket_id.split_once('.').unwrap();
    assert!(high.parse::<u64>().unwrap() < 1 << 53 && low.parse::<u64>().unwrap() < 1 << 53);
    assert_eq!(client.activity_timeout, 120);
    client.expect_silence().await;
}

#[tokio::test]
async fn the_activity_timeout_is_the_configured_one() {
    let app = App::usual();
    let server = Server::builder().app(&app).env("COURANT_LIVENESS_ACTIVITY_TIMEOUT", "17s").start().await;
    assert_eq!(Pusher::connect(&server, &app).await.activity_timeout, 17);
}

#[tokio::test]
async fn socket_ids_are_unique() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let mut clients = Vec::new();
    for _ in 0..50 {
        clients.push(Pusher::connect(&server, &app).await);
    }
    let mut ids: Vec<&str> = clients.iter().map(|client| client.socket_id.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 50);
}

#[tokio::test]
async fn protocol_versions_4_to_7_and_clients_that_name_none_are_served() {
    let app = App::usual();
    let server = Server::with(&app).await;
    for query in [
        "?protocol=4",
        "?protocol=5&client=java-client&version=2.4.4",
        "?protocol=6",
        "?protocol=7&client=js&version=8.6.0-beta%2B1&flash=false",
        "?client=hand-written",
        "?protocol=7&protocol=7&version=8.6.0&version=1&%FF=%FF&&=",
        "",
    ] {
        let mut client = Pusher::connect_at(&server, &app, query, &[]).await;
        client.subscribe("news").await;
        client.expect_silence().await;
    }
}

#[tokio::test]
async fn a_ping_is_answered_on_both_levels() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let mut client = Pusher::connect(&server, &app).await;
    for ping in [
        r#"{"event":"pusher:ping","data":{}}"#,
        r#"{"event":"pusher:ping","data":"{}"}"#,
        r#"{"event":"pusher:ping"}"#,
    ] {
        client.websocket.send(ping).await;
        client.expect(r#"{"event":"pusher:pong","data":"{}"}"#).await;
    }
    client.websocket.send_frame(0x89, b"are you there").await;
    assert_eq!(client.next_message().await, Message::Pong(b"are you there".to_vec()));
    client.websocket.send(r#"{"event":"pusher:pong","data":{}}"#).await;
    client.websocket.send_frame(0x8a, b"unasked").await;
    client.expect_silence().await;
}

#[tokio::test]
async fn a_message_in_several_frames_is_one_message() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let mut client = Pusher::connect(&server, &app).await;
    let subscribe = br#"{"event":"pusher:subscribe","data":{"channel":"news"}}"#;
    client.websocket.send_frame(0x01, &subscribe[..10]).await;
    client.websocket.send_frame(0x00, &subscribe[10..20]).await;
    client.websocket.send_frame(0x89, b"between").await;
    client.websocket.send_frame(0x80, &subscribe[20..]).await;
    assert_eq!(client.next_message().await, Message::Pong(b"between".to_vec()));
    client.expect(r#"{"event":"pusher_internal:subscription_succeeded","channel":"news","data":"{}"}"#).await;
}

#[tokio::test]
async fn what_is_no_message_is_answered_and_closes_nothing() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let mut client = Pusher::connect(&server, &app).await;
    for text in [
        "",
        " ",
        "hello",
        "null",
        "7",
        "[]",
        r#"["pusher:ping",null,null]"#,
        "{}",
        "\u{0}",
        r#"{"event":7}"#,
        r#"{"event":null}"#,
        r#"{"event":"pusher:subscribe"}"#,
        r#"{"event":"pusher:subscribe","data":null}"#,
        r#"{"event":"pusher:subscribe","data":{}}"#,
        r#"{"event":"pusher:subscribe","data":["a","",null]}"#,
        r#"{"event":"pusher:subscribe","data":{"channel":7}}"#,
        r#"{"event":"pusher:subscribe","data":{"channel":"a","auth":7}}"#,
        r#"{"event":"pusher:subscribe","data":"{\"channel\":\"a\"}"}"#,
        r#"{"event":"pusher:unsubscribe","data":{}}"#,
        r#"{"event":"pusher:signin","data":{"auth":"a"}}"#,
        r#"{"event":"pusher:signin","data":{"auth":"a","user_data":{}}}"#,
        r#"{"event":"client-a","data":{}}"#,
        r#"{"event":"client-a","channel":7,"data":{}}"#,
        r#"{"event":"pusher:ping"}{"event":"pusher:ping"}"#,
    ] {
        client.websocket.send(text).await;
        let event = client.expect_event("pusher:error").await;
        assert!(
            event.text.starts_with(r#"{"event":"pusher:error","data":{"code":null,"message":"#),
            "{}",
            event.text
        );
        let message = event.json["data"]["message"].as_str().unwrap().to_owned();
        assert!(message.starts_with("Invalid message format: "), "{text}: {message}");
    }
    client.expect_silence().await;
}

#[tokio::test]
async fn events_of_the_protocol_that_no_client_sends_are_refused() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let mut client = Pusher::connect(&server, &app).await;
    for event in
        ["pusher:error", "pusher:nothing", "pusher_internal:member_added", "pusher:connection_established"]
    {
        client.send(&json!({"event": event, "channel": "news", "data": {}})).await;
        client.expect_error(None, &format!("Unknown event '{event}'")).await;
    }
    client.expect_silence().await;
}

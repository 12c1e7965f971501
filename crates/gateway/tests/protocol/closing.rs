//! Every close code, by a client that provokes it.

use std::time::Instant;

use serde_json::{Value, json};

use crate::support::{Api, App, Message, Pusher, Server, WebSocket, until};

/// Connects somewhere and reads the refusal: an event that says it all, and a close with the same.
async fn expect_refusal(server: &Server, target: &str, headers: &[(&str, &str)], code: u16, message: &str) {
    let mut websocket = WebSocket::connect(server.address, target, headers).await.expect("an upgrade");
    let text =
        format!(r#"{{"event":"pusher:error","data":{{"code":{code},"message":{}}}}}"#, Value::from(message));
    assert_eq!(websocket.next().await, Message::Text(text), "{target}");
    assert_eq!(websocket.closed().await, (code, message.to_owned()), "{target}");
}

#[tokio::test]
async fn an_unknown_key_is_closed_with_4001() {
    let server = Server::start().await;
    let message = "App key no-key not in this cluster. Did you forget to specify the cluster?";
    expect_refusal(&server, "/app/no-key?protocol=7", &[], 4001, message).await;
    assert_eq!(server.metric(r#"courant_connections_rejected_total{reason="unknown_app"}"#).await, 1.0);
}

#[tokio::test]
async fn the_reason_of_a_close_is_cut_where_a_character_ends() {
    let server = Server::start().await;
    for letters in [38, 39, 40, 41, 1000] {
        let target = format!("/app/{}", "%C3%BC".repeat(letters));
        let mut websocket = WebSocket::connect(server.address, &target, &[]).await.unwrap();
        let Message::Text(text) = websocket.next().await else { panic!("no event") };
        let event: Value = serde_json::from_str(&text).unwrap();
        let message = event["data"]["message"].as_str().unwrap();
        let (code, reason) = websocket.closed().await;
        assert_eq!(code, 4001);
        assert!(message.starts_with(&reason) && reason.len() > 115 && reason.len() <= 123, "{reason}");
    }
}

#[tokio::test]
async fn a_key_that_is_no_text_is_unknown_too() {
    let server = Server::start().await;
    for key in ["%FF", "a%00", "%2F", "%"] {
        let mut websocket = WebSocket::connect(server.address, &format!("/app/{key}"), &[]).await.unwrap();
        let (code, reason) = websocket.closed().await;
        assert!(code == 4001 || code == 4005, "{key}: {code} {reason}");
    }
}

#[tokio::test]
async fn a_disabled_application_is_closed_with_4003() {
    let app = App::usual().set("enabled = false");
    let server = Server::with(&app).await;
    expect_refusal(&server, "/app/app-key?protocol=7", &[], 4003, "Application is disabled").await;
}

#[tokio::test]
async fn one_connection_too_many_is_closed_with_4004_until_another_one_ends() {
    let app = App::usual().set("connections_max = 2");
    let server = Server::with(&app).await;
    let first = Pusher::connect(&server, &app).await;
    let mut second = Pusher::connect(&server, &app).await;
    let message = "Application is over its quota of 2 connections";
    for _ in 0..3 {
        expect_refusal(&server, "/app/app-key?protocol=7", &[], 4004, message).await;
    }
    first.close().await;
    until("a place is free", async || {
        let mut websocket = WebSocket::connect(server.address, "/app/app-key?protocol=7", &[]).await.unwrap();
        let Message::Text(text) = websocket.next().await else { panic!("no event") };
        text.contains("pusher:connection_established").then_some(())
    })
    .await;
    second.expect_silence().await;
}

#[tokio::test]
async fn a_path_without_anything_is_closed_with_4005() {
    let server = Server::start().await;
    for target in ["/app", "/app/", "/app/app-key/more", "/ap/app-key?protocol=7", "//app/app-key"] {
        expect_refusal(&server, target, &[], 4005, "Path not found").await;
    }
}

#[tokio::test]
async fn a_version_that_is_none_is_closed_with_4006() {
    let server = Server::start().await;
    let long = "1".repeat(65);
    for version in ["", "x", "8.6.0%00", "1%2F2", "%C3%BC1", &long] {
        let target = format!("/app/app-key?protocol=7&version={version}");
        expect_refusal(&server, &target, &[], 4006, "Invalid version string format").await;
    }
}

#[tokio::test]
async fn another_protocol_is_closed_with_4007() {
    let server = Server::start().await;
    for protocol in ["0", "1", "3", "8", "300", "-7", "7.0", "seven", ""] {
        let target = format!("/app/app-key?protocol={protocol}");
        expect_refusal(&server, &target, &[], 4007, "Unsupported protocol version, 4 to 7 are supported")
            .await;
    }
}

#[tokio::test]
async fn no_protocol_is_closed_with_4008_where_one_is_required() {
    let server =
        Server::builder().env("COURANT_COMPATIBILITY_REQUIRE_PROTOCOL_PARAMETER", "true").start().await;
    expect_refusal(&server, "/app/app-key?client=js", &[], 4008, "No protocol version supplied").await;
    Pusher::connect(&server, &App::usual()).await.expect_silence().await;
}

#[tokio::test]
async fn a_page_of_a_foreign_origin_is_closed_with_4009() {
    let app = App::usual().set(r#"allowed_origins = ["https://app.example.com", "*.example.org"]"#);
    let server = Server::with(&app).await;
    for origin in
        ["https://example.com", "http://app.example.com", "https://app.example.com.evil.com", "null"]
    {
        let headers = [("origin", origin)];
        expect_refusal(&server, "/app/app-key?protocol=7", &headers, 4009, "Origin not allowed").await;
    }
    for headers in [&[("origin", "https://app.example.com")][..], &[("origin", "http://a.example.org")], &[]]
    {
        Pusher::connect_at(&server, &app, "?protocol=7", headers).await.expect_silence().await;
    }
}

#[tokio::test]
async fn one_that_does_not_authorise_in_time_is_closed_with_4009() {
    let app = App::usual().set("authorized_connections = \"1s\"");
    let server = Server::with(&app).await;
    let mut signed_in = Pusher::connect(&server, &app).await;
    signed_in.sign_in("7").await;
    let mut joined = Pusher::connect(&server, &app).await;
    joined.subscribe("private-a").await;
    let mut member = Pusher::connect(&server, &app).await;
    member.subscribe_as("presence-a", "7").await;
    let mut nobody = Pusher::connect(&server, &app).await;
    let mut public = Pusher::connect(&server, &app).await;
    let begun = Instant::now();
    public.subscribe("news").await;
    public
        .send(&json!({"event": "pusher:subscribe", "data": {"channel": "private-a", "auth": "app-key:00"}}))
        .await;
    for client in [&mut nobody, &mut public] {
        assert_eq!(client.closed().await, (4009, "connection did not authorise in time".into()));
    }
    assert!(begun.elapsed().as_secs_f64() > 0.9);
    for client in [&mut signed_in, &mut joined, &mut member] {
        client.expect_silence().await;
    }
}

#[tokio::test]
async fn one_that_does_not_read_is_closed_with_4100_and_slows_nobody() {
    let app = App::usual().set("event_bytes_max = \"60KiB\"");
    let server = Server::builder().app(&app).env("COURANT_LIMITS_QUEUE_BYTES_MAX", "128KiB").start().await;
    let mut slow = Pusher::connect(&server, &app).await;
    let mut quick = Pusher::connect(&server, &app).await;
    slow.subscribe("a").await;
    quick.subscribe("a").await;
    let api = Api::new(&server, &app);
    let data = "x".repeat(60 * 1024);
    let batch: Vec<Value> = (0..10).map(|_| json!({"name": "x", "channel": "a", "data": data})).collect();
    let batch = json!({"batch": batch});
    until("the slow one is noticed", async || {
        assert_eq!(api.post("/batch_events", &batch).await.status, 200);
        for _ in 0..10 {
            quick.expect_event("x").await;
        }
        (server.metric("courant_slow_consumers_total").await == 1.0).then_some(())
    })
    .await;
    assert_eq!(slow.closed().await, (4100, "messages are not read fast enough".into()));
    quick.expect_silence().await;
}

#[tokio::test]
async fn one_that_sends_too_many_messages_is_closed_with_4100() {
    let server = Server::builder()
        .env("COURANT_LIMITS_MESSAGES_PER_SECOND", "1")
        .env("COURANT_LIMITS_MESSAGES_BURST", "5")
        .start()
        .await;
    let mut client = Pusher::connect(&server, &App::usual()).await;
    for _ in 0..50 {
        client.send(&json!({"event": "pusher:ping", "data": {}})).await;
    }
    for _ in 0..5 {
        client.expect_event("pusher:pong").await;
    }
    assert_eq!(client.closed().await, (4100, "more messages per second than allowed".into()));
}

#[tokio::test]
async fn a_server_that_stops_closes_with_4200_one_after_the_other() {
    let app = App::usual();
    let mut server = Server::builder().app(&app).env("COURANT_DRAIN_DURATION", "1s").start().await;
    let mut clients = Vec::new();
    for _ in 0..10 {
        clients.push(Pusher::connect(&server, &app).await);
    }
    server.terminate();
    let begun = Instant::now();
    for client in &mut clients {
        assert_eq!(client.closed().await, (4200, "the server is going away, reconnect".into()));
    }
    let spread = begun.elapsed().as_secs_f64();
    assert!(spread > 0.5, "all within {spread} s");
    assert!(server.ended().await.success());
}

#[tokio::test]
async fn a_binary_message_is_closed_with_1003() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let mut client = Pusher::connect(&server, &app).await;
    client.websocket.send_frame(0x82, br#"{"event":"pusher:ping","data":{}}"#).await;
    assert_eq!(client.closed().await, (1003, "binary messages are not supported".into()));
}

#[tokio::test]
async fn what_breaks_the_rules_of_websockets_is_closed_with_their_codes() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let large = vec![b'x'; 64 * 1024 + 1];
    for (first, payload, code) in [
        (0x81, &b"\xff"[..], 1007),
        (0x83, b"", 1002),
        (0xc1, b"{}", 1002),
        (0x80, b"x", 1002),
        (0x81, &large, 1009),
        (0x88, &[0], 1002),
    ] {
        let mut client = Pusher::connect(&server, &app).await;
        client.websocket.send_frame(first, payload).await;
        assert_eq!(client.closed().await.0, code, "{first:#x}");
    }
}

#[tokio::test]
async fn a_close_of_the_client_is_answered_with_its_code() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let mut client = Pusher::connect(&server, &app).await;
    client.websocket.send_close(1000).await;
    assert_eq!(client.next_message().await, Message::Close(1000, String::new()));
    assert_eq!(client.next_message().await, Message::End);
}

#[tokio::test]
async fn an_application_that_wants_tls_closes_others_with_4000() {
    let app = App::usual().set("tls_required = true");
    let server =
        Server::builder().app(&app).env("COURANT_SERVER_TRUSTED_PROXIES", "127.0.0.0/8").start().await;
    let message = "Application only accepts TLS connections";
    expect_refusal(&server, "/app/app-key?protocol=7", &[], 4000, message).await;
    let plain = [("x-forwarded-proto", "http"), ("x-forwarded-for", "192.0.2.1")];
    expect_refusal(&server, "/app/app-key?protocol=7", &plain, 4000, message).await;
    let behind_tls = [("x-forwarded-proto", "https"), ("x-forwarded-for", "192.0.2.1")];
    Pusher::connect_at(&server, &app, "?protocol=7", &behind_tls).await.expect_silence().await;
}

//! How sessions end.

use std::time::Instant;

use serde_json::{Value, json};

use crate::support::xhr::messages;
use crate::support::{Api, App, Pusher, Server, Xhr, until};
use crate::{Inbox, ping, socket_id, subscribe};

/// Reads a refusal: the session opens, is told what is wrong, and closes.
async fn expect_refusal(xhr: &Xhr, code: u16, message: &str) {
    let event = json!({"event": "pusher:error", "data": {"code": code, "message": message}});
    let close = format!("c[{code},{}]", Value::from(message));
    let mut lines = xhr.stream().await;
    lines.expect("o").await;
    assert_eq!(messages(&lines.next().await.unwrap()), [event]);
    lines.expect(&close).await;
    assert_eq!(lines.next().await, None);
}

#[tokio::test]
async fn who_may_not_connect_is_told_in_a_session() {
    let app = App::usual().set(r#"allowed_origins = ["http://example.com"]"#);
    let disabled = App::new("1002", "disabled-key", "x").set("enabled = false");
    let server = Server::builder().app(&app).app(&disabled).start().await;
    let unknown = App::new("1003", "no-key", "x");
    let message = "App key no-key not in this cluster. Did you forget to specify the cluster?";
    expect_refusal(&Xhr::new(&server, &unknown, "abcdefgh"), 4001, message).await;
    expect_refusal(&Xhr::new(&server, &disabled, "abcdefgh"), 4003, "Application is disabled").await;
    let mut xhr = Xhr::new(&server, &app, "abcdefgi");
    xhr.query = "?protocol=3".into();
    expect_refusal(&xhr, 4007, "Unsupported protocol version, 4 to 7 are supported").await;
    let mut xhr = Xhr::new(&server, &app, "abcdefgj");
    xhr.headers = vec![("origin", "http://evil.example.com".into())];
    expect_refusal(&xhr, 4009, "Origin not allowed").await;
    Xhr::new(&server, &app, "abcdefgk").stream().await.expect("o").await;
}

#[tokio::test]
async fn a_poller_that_may_not_connect_is_told_all_in_one_answer() {
    let server = Server::start().await;
    let unknown = App::new("1003", "no-key", "x");
    let text = Xhr::new(&server, &unknown, "abcdefgh").poll().await.text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((lines.len(), lines[0]), (3, "o"));
    assert_eq!(messages(lines[1])[0]["data"]["code"], 4001);
    let close = r#"c[4001,"App key no-key not in this cluster. Did you forget to specify the cluster?"]"#;
    assert_eq!(lines[2], close);
}

#[tokio::test]
async fn a_session_counts_as_a_connection_of_its_application() {
    let app = App::usual().set("connections_max = 1");
    let server = Server::with(&app).await;
    let xhr = Xhr::new(&server, &app, "abcdefgh");
    let mut lines = xhr.stream().await;
    lines.expect("o").await;
    lines.next().await;
    let message = "Application is over its quota of 1 connections";
    expect_refusal(&Xhr::new(&server, &app, "abcdefgi"), 4004, message).await;
}

#[tokio::test]
async fn a_close_of_the_server_ends_the_session() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let xhr = Xhr::new(&server, &app, "abcdefgh");
    let mut lines = xhr.stream().await;
    lines.expect("o").await;
    let mut inbox = Inbox::new(lines);
    let socket_id = socket_id(&inbox.next().await);
    let user_data = r#"{"id":"7"}"#;
    let sign_in = json!({"auth": app.user_auth(&socket_id, user_data), "user_data": user_data});
    xhr.send(&[json!({"event": "pusher:signin", "data": sign_in})]).await;
    inbox.next().await;
    Api::new(&server, &app).post("/users/7/terminate_connections", &json!({})).await;
    inbox.lines.expect(r#"c[4009,"You got disconnected by the app"]"#).await;
    assert_eq!(inbox.lines.next().await, None);
    until("the session is over", async || (xhr.send(&[ping()]).await.status == 404).then_some(())).await;
    // A new request of the same name is a new session.
    let mut lines = xhr.stream().await;
    lines.expect("o").await;
}

#[tokio::test]
async fn a_server_that_stops_closes_sessions_too() {
    let app = App::usual();
    let mut server = Server::builder().app(&app).env("COURANT_DRAIN_DURATION", "500ms").start().await;
    let streaming = Xhr::new(&server, &app, "abcdefgh");
    let mut lines = streaming.stream().await;
    lines.expect("o").await;
    lines.next().await;
    let polling = Xhr::new(&server, &app, "abcdefgi");
    assert_eq!(polling.poll_line().await, "o");
    polling.poll_line().await;
    server.terminate();
    let close = r#"c[4200,"the server is going away, reconnect"]"#;
    let (line, ()) = tokio::join!(polling.poll_line(), lines.expect(close));
    assert_eq!(line, close);
    assert!(server.ended().await.success());
}

#[tokio::test]
async fn one_that_sends_nonsense_or_too_much_is_treated_as_a_websocket_is() {
    let app = App::usual();
    let server = Server::builder()
        .app(&app)
        .env("COURANT_LIMITS_MESSAGES_PER_SECOND", "1")
        .env("COURANT_LIMITS_MESSAGES_BURST", "5")
        .env("COURANT_LIMITS_MESSAGE_BYTES_MAX", "20KiB")
        .start()
        .await;
    let xhr = Xhr::new(&server, &app, "abcdefgh");
    let mut lines = xhr.stream().await;
    lines.expect("o").await;
    lines.next().await;
    xhr.send(&[json!("no message")]).await;
    let answer = messages(&lines.next().await.unwrap());
    assert_eq!(answer[0]["event"], "pusher:error");
    xhr.send(&vec![ping(); 50]).await;
    loop {
        let line = lines.next().await.unwrap();
        if line.starts_with('c') {
            assert_eq!(line, r#"c[4100,"more messages per second than allowed"]"#);
            break;
        }
    }
    let xhr = Xhr::new(&server, &app, "abcdefgi");
    let mut lines = xhr.stream().await;
    lines.expect("o").await;
    lines.next().await;
    xhr.send(&[json!("x".repeat(20 * 1024))]).await;
    lines.expect(r#"c[1009,"message is larger than allowed"]"#).await;
}

#[tokio::test]
async fn one_that_does_not_fetch_its_messages_is_closed_with_4100() {
    let app = App::usual();
    let server =
        Server::builder().app(&app).env("COURANT_LIMITS_HTTP_SESSION_QUEUE_BYTES_MAX", "32KiB").start().await;
    let api = Api::new(&server, &app);
    let xhr = Xhr::new(&server, &app, "abcdefgh");
    assert_eq!(xhr.poll_line().await, "o");
    xhr.poll_line().await;
    xhr.send(&[subscribe("news")]).await;
    xhr.poll_line().await;
    for _ in 0..5 {
        api.trigger("news", "x", &"x".repeat(10_000)).await;
    }
    assert_eq!(xhr.poll_line().await, r#"c[4100,"messages are not read fast enough"]"#);
}

#[tokio::test]
async fn a_client_that_is_gone_leaves_its_channels() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let mut watcher = Pusher::connect(&server, &app).await;
    watcher.subscribe_as("presence-a", "watcher").await;
    let mut sessions = Vec::new();
    for (at, session) in ["streaming", "polling"].into_iter().enumerate() {
        let xhr = Xhr::new(&server, &app, session);
        assert_eq!(xhr.poll_line().await, "o");
        let socket_id = socket_id(&messages(&xhr.poll_line().await)[0]);
        let channel_data = json!({"user_id": session}).to_string();
        let data = json!({"channel": "presence-a", "channel_data": channel_data,
            "auth": app.channel_auth(&socket_id, "presence-a", Some(&channel_data))});
        xhr.send(&[json!({"event": "pusher:subscribe", "data": data})]).await;
        xhr.poll_line().await;
        watcher.expect_event("pusher_internal:member_added").await;
        sessions.push((at, xhr));
    }
    // One breaks off a long response, the other one does not ask again.
    drop(sessions[0].1.stream().await);
    let begun = Instant::now();
    for _ in 0..2 {
        watcher.expect_event("pusher_internal:member_removed").await;
    }
    let after = begun.elapsed().as_secs_f64();
    assert!((9.0..25.0).contains(&after), "after {after} s");
    for (_, xhr) in &sessions {
        assert_eq!(xhr.send(&[ping()]).await.status, 404);
    }
}

#[tokio::test]
async fn a_silent_session_is_asked_and_then_closed_with_4201() {
    let app = App::usual();
    let server = Server::builder()
        .app(&app)
        .env("COURANT_LIVENESS_PING_INTERVAL", "1s")
        .env("COURANT_LIVENESS_PONG_TIMEOUT", "4s")
        .start()
        .await;
    let xhr = Xhr::new(&server, &app, "abcdefgh");
    let mut lines = xhr.stream().await;
    lines.expect("o").await;
    lines.next().await;
    let ping = r#"a["{\"event\":\"pusher:ping\",\"data\":\"{}\"}"]"#;
    lines.expect(ping).await;
    xhr.send(&[json!({"event": "pusher:pong", "data": {}})]).await;
    lines.expect(ping).await;
    // A heartbeat shows that the client is there, too.
    xhr.send(&[]).await;
    lines.expect(ping).await;
    lines.expect(r#"c[4201,"pong reply not received in time"]"#).await;
}

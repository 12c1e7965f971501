//! `xhr_streaming`: one long response.

use serde_json::json;

use crate::support::{Api, App, Pusher, Server, Xhr};
use crate::{Inbox, ping, pong, socket_id, subscribe, succeeded};

#[tokio::test]
async fn a_session_opens_and_carries_messages_both_ways() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let xhr = Xhr::new(&server, &app, "abcdefgh");
    let mut lines = xhr.stream().await;
    assert_eq!(lines.response.status, 200);
    assert_eq!(lines.response.header("content-type"), Some("application/javascript; charset=UTF-8"));
    assert_eq!(lines.response.header("cache-control"), Some("no-store, no-transform"));
    assert_eq!(lines.response.header("x-accel-buffering"), Some("no"));
    assert_eq!(lines.response.header("access-control-allow-origin"), Some("*"));
    lines.expect("o").await;
    let established = lines.next().await.unwrap();
    assert!(
        established.starts_with(
            r#"a["{\"event\":\"pusher:connection_established\",\"data\":\"{\\\"socket_id\\\":\\\""#
        ),
        "{established}"
    );
    let response = xhr.send(&[subscribe("news")]).await;
    assert_eq!((response.status, response.text().as_str()), (204, ""));
    lines
        .expect(
            r#"a["{\"event\":\"pusher_internal:subscription_succeeded\",\"channel\":\"news\",\"data\":\"{}\"}"]"#,
        )
        .await;
    Api::new(&server, &app).trigger("news", "x", "ü\n\"").await;
    lines.expect(r#"a["{\"event\":\"x\",\"channel\":\"news\",\"data\":\"ü\\n\\\"\"}"]"#).await;
}

#[tokio::test]
async fn all_of_the_protocol_works_in_a_session() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let mut other = Pusher::connect(&server, &app).await;
    other.subscribe_as("presence-a", "other").await;
    other.subscribe("private-a").await;

    let xhr = Xhr::new(&server, &app, "abcdefgh");
    let mut lines = xhr.stream().await;
    lines.expect("o").await;
    let mut inbox = Inbox::new(lines);
    let socket_id = socket_id(&inbox.next().await);
    let channel_data = r#"{"user_id":"7"}"#;
    let presence = json!({"channel": "presence-a", "channel_data": channel_data,
        "auth": app.channel_auth(&socket_id, "presence-a", Some(channel_data))});
    let private = json!({"channel": "private-a", "auth": app.channel_auth(&socket_id, "private-a", None)});
    let user_data = r#"{"id":"7"}"#;
    let sign_in = json!({"auth": app.user_auth(&socket_id, user_data), "user_data": user_data});
    let sent = xhr
        .send(&[
            json!({"event": "pusher:subscribe", "data": presence}),
            json!({"event": "pusher:subscribe", "data": private}),
            json!({"event": "pusher:signin", "data": sign_in}),
            json!({"event": "client-x", "channel": "presence-a", "data": "hello"}),
        ])
        .await;
    assert_eq!(sent.status, 204);
    let greeting = inbox.next().await;
    assert_eq!(greeting["channel"], "presence-a");
    assert!(greeting["data"].as_str().unwrap().contains(r#""ids":["other","7"]"#));
    assert_eq!(inbox.next().await, succeeded("private-a"));
    assert_eq!(inbox.next().await["event"], "pusher:signin_success");
    other.expect_event("pusher_internal:member_added").await;
    other.expect(r#"{"event":"client-x","channel":"presence-a","data":"hello","user_id":"7"}"#).await;
    other.trigger("private-a", "client-y", json!("back")).await;
    assert_eq!(inbox.next().await, json!({"event": "client-y", "channel": "private-a", "data": "back"}));
    assert_eq!(server.metric(r#"courant_connections{app="1001",transport="xhr_streaming"}"#).await, 1.0);
}

#[tokio::test]
async fn a_session_goes_on_in_the_next_request_without_opening_again() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let api = Api::new(&server, &app);
    let xhr = Xhr::new(&server, &app, "abcdefgh");
    let mut lines = xhr.stream().await;
    lines.expect("o").await;
    lines.next().await;
    xhr.send(&[subscribe("news")]).await;
    lines.next().await;
    // pusher-js ends a response that became large, and asks again.
    drop(lines);
    api.trigger("news", "between", "1").await;
    let mut lines = xhr.stream().await;
    // What the server wrote before it saw the end of the first response is lost, as the protocol has it; it never sends a
    // second "o", which would tell pusher-js that the session was.
    api.trigger("news", "after", "2").await;
    let mut inbox = Inbox::new(lines);
    loop {
        let message = inbox.next().await;
        if message["event"] == "after" {
            break;
        }
        assert_eq!(message["event"], "between");
    }
    xhr.send(&[ping()]).await;
    assert_eq!(inbox.next().await, pong());
    // A second request takes over from one that still runs.
    let mut first = inbox;
    lines = xhr.stream().await;
    assert_eq!(first.lines.next().await, None);
    xhr.send(&[ping()]).await;
    assert_eq!(Inbox::new(lines).next().await, pong());
}

#[tokio::test]
async fn what_comes_between_two_requests_waits() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let api = Api::new(&server, &app);
    let xhr = Xhr::new(&server, &app, "abcdefgh");
    // Polled first, so that the end of each response is known.
    assert_eq!(xhr.poll_line().await, "o");
    xhr.poll_line().await;
    xhr.send(&[subscribe("news")]).await;
    xhr.poll_line().await;
    for at in 0..100 {
        api.trigger("news", "x", &at.to_string()).await;
    }
    let mut inbox = Inbox::new(xhr.stream().await);
    for at in 0..100 {
        assert_eq!(inbox.next().await, json!({"event": "x", "channel": "news", "data": at.to_string()}));
    }
}

#[tokio::test]
async fn more_than_a_request_can_hold_comes_in_order() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let api = Api::new(&server, &app);
    let xhr = Xhr::new(&server, &app, "abcdefgh");
    let mut inbox = Inbox::new({
        let mut lines = xhr.stream().await;
        lines.expect("o").await;
        lines
    });
    inbox.next().await;
    xhr.send(&[subscribe("news")]).await;
    assert_eq!(inbox.next().await, succeeded("news"));
    let publish = async {
        for at in 0..100 {
            api.trigger("news", &at.to_string(), &"x".repeat(10_000)).await;
        }
    };
    let read = async {
        for at in 0..100 {
            assert_eq!(inbox.next().await["event"], at.to_string());
        }
    };
    tokio::join!(publish, read);
}

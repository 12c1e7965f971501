//! Slowloris: clients that hold a connection by being slow, at each phase that it goes through.

use std::time::Duration;

use serde_json::json;

use crate::bystander::{Bystander, counted};
use crate::raw::{Raw, target, upgrade};
use crate::support::{Api, App, Message, Pusher, Server, WebSocket, Xhr};

const HEAD_TIMEOUT: Duration = Duration::from_millis(400);

const HEAD_TIMEOUTS: &str = "courant_limit_hits_total{limit=\"head_time\"}";
const HANDSHAKE_TIMEOUTS: &str = "courant_connections_rejected_total{reason=\"handshake_timeout\"}";

async fn impatient() -> (Server, App, Bystander) {
    let app = App::usual();
    let config = "[limits]\nrequest_head_timeout = \"400ms\"\nkeep_alive_timeout = \"1s\"\n\
                  request_body_timeout = \"400ms\"";
    let server = Server::builder().app(&app).config(config).start().await;
    let bystander = Bystander::new(&server, &app).await;
    (server, app, bystander)
}

#[tokio::test]
async fn a_silent_connection_is_closed_after_the_time_for_a_head() {
    let (server, _app, mut bystander) = impatient().await;
    let silent = Raw::connect(server.address).await;
    bystander.is_served().await;
    let ended = silent.closed().await;
    assert_eq!(ended.text, "");
    assert!(ended.after >= HEAD_TIMEOUT, "closed after {:?}", ended.after);
    counted(&server, HEAD_TIMEOUTS, 1.0).await;
    counted(&server, HANDSHAKE_TIMEOUTS, 1.0).await;
    bystander.is_served().await;
}

#[tokio::test]
async fn a_head_that_comes_byte_by_byte_gains_no_time() {
    let (server, _app, mut bystander) = impatient().await;
    let mut dripping = Raw::connect(server.address).await;
    dripping.send("GET / HTTP/1.1\r\nhost: a\r\nx-slow: ").await;
    let ended = dripping.drip("a", Duration::from_millis(20)).await;
    assert_eq!(ended.status(), None, "{}", ended.text);
    assert!(ended.after >= HEAD_TIMEOUT, "closed after {:?}", ended.after);
    counted(&server, HEAD_TIMEOUTS, 1.0).await;
    bystander.is_served().await;
}

#[tokio::test]
async fn the_second_head_of_a_connection_has_no_more_time_than_the_first() {
    let app = App::usual();
    let config = "[limits]\nrequest_head_timeout = \"400ms\"\nkeep_alive_timeout = \"1h\"";
    let server = Server::builder().app(&app).config(config).start().await;
    let mut client = Raw::connect(server.address).await;
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    client.read_to("courant\n").await;
    client.send("GET / HTTP/1.1\r\nhost: a\r\nx-slow: ").await;
    let ended = client.drip("a", Duration::from_millis(20)).await;
    assert_eq!(ended.status(), None, "{}", ended.text);
    counted(&server, HEAD_TIMEOUTS, 1.0).await;
}

#[tokio::test]
async fn a_connection_without_a_further_request_is_closed_after_the_keep_alive_time() {
    let (server, _app, mut bystander) = impatient().await;
    let mut client = Raw::connect(server.address).await;
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    client.read_to("courant\n").await;
    let ended = client.closed().await;
    assert_eq!(ended.text, "");
    // The time for a head alone would be shorter.
    assert!(ended.after >= Duration::from_secs(1), "closed after {:?}", ended.after);
    bystander.is_served().await;
}

#[tokio::test]
async fn a_body_that_comes_byte_by_byte_is_answered_with_408() {
    let (server, app, mut bystander) = impatient().await;
    let session = Xhr::new(&server, &app, "slow");
    // It must be there, or nothing is read.
    assert_eq!(session.poll_line().await, "o");
    let publish = target(&Api::new(&server, &app).request("POST", "/events", &[b'x'; 1000]));
    for path in [publish, format!("{}/xhr_send", session.path)] {
        let mut client = Raw::connect(server.address).await;
        client.send(format!("POST {path} HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\n")).await;
        let ended = client.drip("x", Duration::from_millis(20)).await;
        assert_eq!(ended.status(), Some(408), "{path}: {}", ended.text);
    }
    counted(&server, "courant_limit_hits_total{limit=\"body_time\"}", 2.0).await;
    bystander.is_served().await;
}

#[tokio::test]
async fn a_client_that_takes_no_answers_is_closed() {
    let (server, app, mut bystander) = impatient().await;
    let mut client = Raw::connect_cramped(server.address).await;
    // The answers fill the buffers in between; then the server stops reading, and so this side's writes stall too.
    client.flood(format!("GET /apps/{}/none HTTP/1.1\r\nhost: a\r\n\r\n", app.id).repeat(100)).await;
    counted(&server, "courant_limit_hits_total{limit=\"answer_time\"}", 1.0).await;
    bystander.is_served().await;
}

#[tokio::test]
async fn a_connection_that_says_nothing_after_the_upgrade_is_asked_and_then_closed() {
    let app = App::usual();
    let config = "[liveness]\nping_interval = \"1s\"\npong_timeout = \"1s\"";
    let server = Server::builder().app(&app).config(config).start().await;
    let mut silent = Pusher::connect(&server, &app).await;
    assert_eq!(silent.next().await.text, r#"{"event":"pusher:ping","data":"{}"}"#);
    assert_eq!(silent.closed().await, (4201, "pong reply not received in time".into()));
    counted(&server, "courant_limit_hits_total{limit=\"pong_time\"}", 1.0).await;
    counted(&server, "courant_connections_closed_total{code=\"4201\"}", 1.0).await;
}

#[tokio::test]
async fn a_frame_that_comes_byte_by_byte_is_no_sign_of_life() {
    let app = App::usual();
    let config =
        "[liveness]\nping_interval = \"1s\"\npong_timeout = \"1s\"\n[limits]\nclose_timeout = \"200ms\"";
    let server = Server::builder().app(&app).config(config).start().await;
    let mut dripping = Raw::connect(server.address).await;
    dripping.send(upgrade(app.key)).await;
    dripping.read_to("pusher:connection_established").await;
    // The header of a text frame of 60,000 bytes, and then one byte after the other.
    dripping.send([0x81, 0xfe, 0xea, 0x60, 0, 0, 0, 0]).await;
    let ended = dripping.drip("a", Duration::from_millis(50)).await;
    assert!(ended.text.contains("pusher:ping"), "{}", ended.text);
    counted(&server, "courant_connections_closed_total{code=\"4201\"}", 1.0).await;
}

#[tokio::test]
async fn a_connection_that_never_authorises_is_closed_however_much_it_says() {
    let app = App::usual().set("authorized_connections = \"1s\"");
    let server = Server::with(&app).await;
    let mut talking = Pusher::connect(&server, &app).await;
    let mut authorised = Pusher::connect(&server, &app).await;
    authorised.subscribe("private-a").await;
    let (code, reason) = loop {
        talking.send(&json!({"event": "pusher:ping", "data": {}})).await;
        match talking.next_message().await {
            Message::Text(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            Message::Close(code, reason) => break (code, reason),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!((code, reason.as_str()), (4009, "connection did not authorise in time"));
    counted(&server, "courant_limit_hits_total{limit=\"authentication_time\"}", 1.0).await;
    authorised.expect_silence().await;
}

#[tokio::test]
async fn a_close_that_is_not_answered_is_ended_after_the_time_for_it() {
    let app = App::usual();
    let server = Server::builder().app(&app).config("[limits]\nclose_timeout = \"300ms\"").start().await;
    let mut bystander = Bystander::new(&server, &app).await;
    let mut refused = WebSocket::connect(server.address, "/app/nobody", &[]).await.unwrap();
    let Message::Text(_) = refused.next().await else { panic!("no error") };
    let Message::Close(4001, _) = refused.next().await else { panic!("no close") };
    // It neither answers nor ends.
    let raw = Raw::from(refused.stream);
    raw.closed().await;
    bystander.is_served().await;
}

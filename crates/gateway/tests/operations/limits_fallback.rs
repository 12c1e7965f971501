//! The bounds of the HTTP fallback.

use serde_json::json;

use crate::bystander::{Bystander, counted};
use crate::support::{App, Server, Xhr, until};

async fn started(config: &str) -> (Server, App, Bystander) {
    let app = App::usual();
    let server = Server::builder().app(&app).config(config).start().await;
    let bystander = Bystander::new(&server, &app).await;
    (server, app, bystander)
}

#[tokio::test]
async fn a_session_too_many_is_told_503() {
    let (server, app, mut bystander) = started("[limits]\nhttp_sessions_max = 2").await;
    let sessions = ["a", "b"].map(|name| Xhr::new(&server, &app, name));
    for session in &sessions {
        assert_eq!(session.poll_line().await, "o");
    }
    let refused = Xhr::new(&server, &app, "c");
    for _ in 0..2 {
        let response = refused.poll().await;
        assert_eq!((response.status, response.header("retry-after")), (503, Some("1")));
    }
    counted(&server, "courant_limit_hits_total{limit=\"fallback_sessions\"}", 2.0).await;
    // Those that are there go on.
    for session in &sessions {
        assert!(session.poll_line().await.contains("connection_established"));
    }
    bystander.is_served().await;
}

#[tokio::test]
async fn a_body_or_message_of_a_session_that_is_too_large_is_refused() {
    let config = "[limits]\nmessage_bytes_max = \"16KiB\"\nrequest_body_bytes_max = \"64KiB\"";
    let (server, app, mut bystander) = started(config).await;
    let session = Xhr::new(&server, &app, "large");
    assert_eq!(session.poll_line().await, "o");
    assert!(session.poll_line().await.contains("connection_established"));
    let body = session.send_raw(&vec![b' '; (64 << 10) + 1]).await;
    assert_eq!(body.status, 413, "{}", body.text());
    counted(&server, "courant_limit_hits_total{limit=\"body_bytes\"}", 1.0).await;
    let message = session.send(&[json!("x".repeat(17 << 10))]).await;
    assert_eq!(message.status, 204, "the transport has taken it");
    assert_eq!(session.poll_line().await, r#"c[1009,"message is larger than allowed"]"#);
    counted(&server, "courant_connections_closed_total{code=\"1009\"}", 1.0).await;
    counted(&server, "courant_limit_hits_total{limit=\"message_bytes\"}", 1.0).await;
    bystander.is_served().await;
}

#[tokio::test]
async fn a_session_sends_no_faster_than_a_websocket_may() {
    let config = "[limits]\nmessages_per_second = 1\nmessages_burst = 5";
    let (server, app, mut bystander) = started(config).await;
    let session = Xhr::new(&server, &app, "fast");
    assert_eq!(session.poll_line().await, "o");
    assert!(session.poll_line().await.contains("connection_established"));
    let pings = vec![json!({"event": "pusher:ping", "data": {}}); 40];
    session.send(&pings).await;
    until("the close", async || {
        let line = session.poll_line().await;
        (line == r#"c[4100,"more messages per second than allowed"]"#).then_some(())
    })
    .await;
    counted(&server, "courant_limit_hits_total{limit=\"message_rate\"}", 1.0).await;
    bystander.is_served().await;
}

#[tokio::test]
async fn what_is_no_list_of_messages_is_refused_and_harms_nobody() {
    let (server, app, mut bystander) = started("").await;
    let session = Xhr::new(&server, &app, "odd");
    assert_eq!(session.send_raw(b"[]").await.status, 404, "there is no such session yet");
    assert_eq!(session.poll_line().await, "o");
    for body in [&b""[..], b"{}", b"[1]", b"[\"a\"", b"\xff", b"[[[[[[[[[[[[", b"null"] {
        let response = session.send_raw(body).await;
        assert_eq!(response.status, 400, "{}: {}", body.escape_ascii(), response.text());
    }
    let nested = "[".repeat(100_000);
    assert_eq!(session.send_raw(nested.as_bytes()).await.status, 400);
    assert_eq!(session.send_raw(b"[]").await.status, 204, "the session goes on");
    bystander.is_served().await;
}

#[tokio::test]
async fn sessions_count_among_the_connections_of_their_address() {
    let app = App::usual();
    let config = "[limits]\nconnections_per_address_max = 3\naddress_exempt = []";
    let server = Server::builder().app(&app).config(config).start().await;
    // Two sessions, and the connection of the request at hand, which may take a moment to be counted out.
    for name in ["a", "b"] {
        until("a session", async || (Xhr::new(&server, &app, name).poll().await.status == 200).then_some(()))
            .await;
    }
    let too_many = "courant_connections_rejected_total{reason=\"connections_per_address\"}";
    let before = server.metric(too_many).await;
    let refused = Xhr::new(&server, &app, "c").poll().await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("5")));
    assert_eq!(server.metric(too_many).await, before + 1.0);
}

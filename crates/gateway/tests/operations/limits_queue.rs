//! Clients that do not take what is sent to them.

use crate::bystander::counted;
use crate::raw::{Raw, upgrade};
use crate::support::websocket::frame;
use crate::support::{Api, App, Pusher, Server, Xhr, until};

const EVENT_BYTES: usize = 9_000;
const QUEUE_BYTES_MAX: usize = 128 << 10;

/// An application whose lists of members fit into small queues.
fn small() -> App {
    App::usual().set("members_max = 10")
}

/// A client of a channel that reads nothing after its subscription.
async fn slow_subscriber(server: &Server, app: &App, channel: &str) -> Raw {
    let mut slow = Raw::connect_cramped(server.address).await;
    slow.send(upgrade(app.key)).await;
    slow.read_to("pusher:connection_established").await;
    let subscribe = format!(r#"{{"event":"pusher:subscribe","data":{{"channel":"{channel}"}}}}"#);
    slow.send(frame(0x81, subscribe.as_bytes())).await;
    slow.read_to("subscription_succeeded").await;
    slow
}

#[tokio::test]
async fn a_client_that_never_reads_is_closed_and_delays_nobody() {
    let app = small();
    let config = "[liveness]\nping_interval = \"1h\"\n[limits]\nqueue_bytes_max = \"128KiB\"\nclose_timeout = \"500ms\"";
    let server = Server::builder().app(&app).config(config).start().await;
    let mut reader = Pusher::connect(&server, &app).await;
    reader.subscribe("news").await;
    let slow = slow_subscriber(&server, &app, "news").await;
    let before = server.metric("process_resident_memory_bytes").await;
    let api = Api::new(&server, &app);
    let data = "x".repeat(EVENT_BYTES);
    let closed = "courant_connections_closed_total{code=\"4100\"}";
    let mut sent = 0;
    // The kernel's buffers on both sides come before the server's queue; how large they get is its own affair.
    while server.metric("courant_slow_consumers_total").await == 0.0 {
        assert!(sent < 4000, "36 MB are buffered for a client that does not read");
        for _ in 0..20 {
            api.trigger("news", &format!("event-{sent}"), &data).await;
            assert_eq!(reader.next().await.name(), format!("event-{sent}"));
            sent += 1;
        }
        let queued = server.metric("courant_queue_bytes").await;
        assert!(queued <= (QUEUE_BYTES_MAX + EVENT_BYTES) as f64, "{queued} bytes are queued");
    }
    // It does not read the close either, and is cut off.
    counted(&server, closed, 1.0).await;
    assert_eq!(server.metric("courant_limit_hits_total{limit=\"queue_bytes\"}").await, 1.0);
    until("an empty queue", async || (server.metric("courant_queue_bytes").await == 0.0).then_some(())).await;
    let grown = server.metric("process_resident_memory_bytes").await - before;
    assert!(grown < f64::from(64 << 20), "{grown} bytes more");
    api.trigger("news", "last", "all well").await;
    reader.expect_event("last").await;
    drop(slow);
}

#[tokio::test]
async fn a_slow_client_that_reads_on_learns_why_it_is_closed() {
    let app = small();
    let config = "[liveness]\nping_interval = \"1h\"\n[limits]\nqueue_bytes_max = \"128KiB\"\nclose_timeout = \"1min\"";
    let server = Server::builder().app(&app).config(config).start().await;
    let mut slow = slow_subscriber(&server, &app, "news").await;
    let api = Api::new(&server, &app);
    let data = "x".repeat(EVENT_BYTES);
    while server.metric("courant_slow_consumers_total").await == 0.0 {
        for number in 0..20 {
            api.trigger("news", &number.to_string(), &data).await;
        }
    }
    // What was on its way comes first.
    slow.read_to("messages are not read fast enough").await;
}

#[tokio::test]
async fn a_fallback_client_that_does_not_ask_is_closed_at_its_bound() {
    let app = small();
    let config = "[liveness]\nping_interval = \"1h\"\n[limits]\nhttp_session_queue_bytes_max = \"32KiB\"";
    let server = Server::builder().app(&app).config(config).start().await;
    let mut reader = Pusher::connect(&server, &app).await;
    reader.subscribe("news").await;
    let slow = Xhr::new(&server, &app, "slow");
    assert_eq!(slow.poll_line().await, "o");
    assert!(slow.poll_line().await.contains("connection_established"));
    let subscribe = serde_json::json!({"event": "pusher:subscribe", "data": {"channel": "news"}});
    assert_eq!(slow.send(&[subscribe]).await.status, 204);
    assert!(slow.poll_line().await.contains("subscription_succeeded"));
    let api = Api::new(&server, &app);
    let data = "x".repeat(EVENT_BYTES);
    for number in 0..6 {
        api.trigger("news", &number.to_string(), &data).await;
        assert_eq!(reader.next().await.name(), number.to_string());
    }
    assert_eq!(slow.poll_line().await, r#"c[4100,"messages are not read fast enough"]"#);
    counted(&server, "courant_connections_closed_total{code=\"4100\"}", 1.0).await;
    counted(&server, "courant_slow_consumers_total", 1.0).await;
    counted(&server, "courant_limit_hits_total{limit=\"queue_bytes\"}", 1.0).await;
}

#[tokio::test]
async fn a_streaming_client_that_never_reads_is_cut_off() {
    let app = small();
    // A queue with room for many events, so that it is the client that does not take them, not a task that is not run.
    let config = "[liveness]\nping_interval = \"1h\"\n[limits]\nhttp_session_queue_bytes_max = \"512KiB\"\nkeep_alive_timeout = \"1s\"";
    let server = Server::builder().app(&app).config(config).start().await;
    let session = Xhr::new(&server, &app, "stalled");
    let mut stalled = Raw::connect_cramped(server.address).await;
    stalled
        .send(format!("POST {}/xhr_streaming HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n", session.path))
        .await;
    stalled.read_to("connection_established").await;
    let subscribe = serde_json::json!({"event": "pusher:subscribe", "data": {"channel": "news"}});
    assert_eq!(session.send(&[subscribe]).await.status, 204);
    stalled.read_to("subscription_succeeded").await;
    let api = Api::new(&server, &app);
    let data = "x".repeat(EVENT_BYTES);
    while server.metric("courant_connections_closed_total{code=\"4100\"}").await == 0.0 {
        for number in 0..20 {
            api.trigger("news", &number.to_string(), &data).await;
        }
    }
    counted(&server, "courant_limit_hits_total{limit=\"answer_time\"}", 1.0).await;
    drop(stalled);
}

//! Metrics and health.

use std::collections::BTreeSet;
use std::path::Path;

use courant_telemetry::metrics::{CATALOGUE, Kind};
use serde_json::json;

use crate::bystander::counted;
use crate::raw::Raw;
use crate::support::{Api, App, Pusher, Server, WebSocket, Xhr, until};

const CONNECTIONS: &str = "courant_connections{app=\"1001\",transport=\"websocket\"}";

#[tokio::test]
async fn metrics_hold_the_whole_catalogue_with_types_and_help() {
    let server = Server::start().await;
    let response = server.private_get("/metrics").await.unwrap();
    assert_eq!(response.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let text = response.text();
    // A family by application or endpoint is there once it has a member.
    let app = App::usual();
    let _client = Pusher::connect(&server, &app).await;
    let text = format!("{text}{}", server.metrics().await);
    for metric in CATALOGUE {
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        assert!(text.contains(&format!("# TYPE {} {kind}\n", metric.name)), "{}", metric.name);
        assert!(text.contains(&format!("# HELP {} ", metric.name)), "{}", metric.name);
    }
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (series, value) = line.rsplit_once(' ').unwrap();
        assert!(value.parse::<f64>().is_ok(), "{line}");
        let name = series.split('{').next().unwrap();
        let is_known = CATALOGUE.iter().any(|metric| {
            name.strip_prefix(metric.name)
                .is_some_and(|rest| ["", "_bucket", "_sum", "_count"].contains(&rest))
        });
        assert!(is_known, "{series} is not in the catalogue");
    }
}

#[test]
fn documents_name_metrics_and_limits_that_there_are() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let labels = std::fs::read_to_string(root.join("docs/metrics.md")).unwrap();
    for file in ["docs/operations.md", "docs/webhooks.md", "README.md", "ARCHITECTURE.md"] {
        let Ok(text) = std::fs::read_to_string(root.join(file)) else { continue };
        let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let named: BTreeSet<&str> = text
            .match_indices("`courant_")
            .map(|(at, _)| text[at + 1..].split(|c| !is_part(c)).next().unwrap())
            .collect();
        for name in named.into_iter().filter(|name| !["courant_gateway", "courant_span"].contains(name)) {
            assert!(
                CATALOGUE.iter().any(|metric| metric.name == name),
                "{file} names {name}, which is no metric"
            );
        }
        // The last column of the table of limits.
        let table = text.split("courant_limit_hits_total{limit=…}").nth(1).unwrap_or_default();
        let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
        for limit in rows.flat_map(|row| row.rsplit('|').nth(1).unwrap().split(',')) {
            let limit = limit.trim();
            assert!(
                limit == "-" || labels.contains(limit),
                "{file} names the limit {limit}, which there is not"
            );
        }
    }
}

#[tokio::test]
async fn connections_are_counted_as_they_come_and_go() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let first = Pusher::connect(&server, &app).await;
    let second = Pusher::connect(&server, &app).await;
    assert_eq!(server.metric(CONNECTIONS).await, 2.0);
    assert_eq!(server.metric("courant_connections_accepted_total{transport=\"websocket\"}").await, 2.0);
    // The second came from the same address to the same application.
    assert_eq!(server.metric("courant_reconnections_total").await, 0.0);
    first.close().await;
    counted(&server, "courant_connections_closed_total{code=\"1000\"}", 1.0).await;
    drop(second);
    counted(&server, "courant_connections_closed_total{code=\"none\"}", 1.0).await;
    assert_eq!(server.metric(CONNECTIONS).await, 0.0);
    let _third = Pusher::connect(&server, &app).await;
    assert_eq!(server.metric("courant_reconnections_total").await, 1.0);

    let polling = Xhr::new(&server, &app, "polling");
    assert_eq!(polling.poll_line().await, "o");
    let streaming = Xhr::new(&server, &app, "streaming");
    let mut lines = streaming.stream().await;
    lines.expect("o").await;
    for transport in ["xhr_polling", "xhr_streaming"] {
        let connections = format!("courant_connections{{app=\"1001\",transport=\"{transport}\"}}");
        assert_eq!(server.metric(&connections).await, 1.0);
        let accepted = format!("courant_connections_accepted_total{{transport=\"{transport}\"}}");
        assert_eq!(server.metric(&accepted).await, 1.0);
    }
}

#[tokio::test]
async fn refusals_are_counted_by_their_reason() {
    let app = App::usual().set("allowed_origins = [\"https://example.com\"]");
    let disabled = App::new("2", "disabled-key", "secret-two").set("enabled = false");
    let server = Server::builder().app(&app).app(&disabled).start().await;
    for (target, origin, reason) in [
        ("/app/nobody", "https://example.com", "unknown_app"),
        ("/app/disabled-key", "https://example.com", "app_disabled"),
        ("/app/app-key", "https://evil.example", "origin"),
        ("/app/app-key?protocol=99", "https://example.com", "protocol_version"),
        ("/nothing/here", "https://example.com", "path"),
    ] {
        let mut websocket = WebSocket::connect(server.address, target, &[("origin", origin)]).await.unwrap();
        websocket.closed().await;
        let series = format!("courant_connections_rejected_total{{reason=\"{reason}\"}}");
        counted(&server, &series, 1.0).await;
    }
    assert_eq!(server.metric("courant_connections_accepted_total{transport=\"websocket\"}").await, 0.0);
}

#[tokio::test]
async fn what_is_published_and_delivered_is_counted_to_the_message() {
    const SUBSCRIBERS: usize = 3;
    const EVENTS: usize = 5;
    let app = App::usual();
    let server = Server::with(&app).await;
    let mut clients = Vec::new();
    for _ in 0..SUBSCRIBERS {
        let mut client = Pusher::connect(&server, &app).await;
        client.subscribe("news").await;
        clients.push(client);
    }
    let read = async |series: &str| server.metric(series).await;
    assert_eq!(read("courant_subscriptions").await, SUBSCRIBERS as f64);
    assert_eq!(read("courant_channels").await, 1.0);
    assert_eq!(read("courant_messages_received_total{kind=\"subscribe\"}").await, SUBSCRIBERS as f64);
    let sent_before = read("courant_sent_bytes_total").await;
    let delivered_before = read("courant_deliveries_total").await;
    let api = Api::new(&server, &app);
    for number in 0..EVENTS {
        api.trigger("news", &format!("event-{number}"), &"x".repeat(1000)).await;
        for client in &mut clients {
            client.expect_event(&format!("event-{number}")).await;
        }
    }
    let deliveries = (SUBSCRIBERS * EVENTS) as f64;
    counted(&server, "courant_deliveries_total", delivered_before + deliveries).await;
    assert_eq!(read("courant_deliveries_total").await, delivered_before + deliveries);
    assert_eq!(read("courant_publishes_total{source=\"http\"}").await, EVENTS as f64);
    counted(&server, "courant_delivery_latency_seconds_count", deliveries).await;
    assert_eq!(read("courant_delivery_latency_seconds_count").await, deliveries);
    assert_eq!(read("courant_delivery_latency_seconds_bucket{le=\"+Inf\"}").await, deliveries);
    assert!(read("courant_delivery_latency_seconds_sum").await > 0.0);
    // Each event reached three: none in the bucket up to two, all in that up to five.
    assert_eq!(read("courant_fanout_subscribers_count").await, EVENTS as f64);
    assert_eq!(read("courant_fanout_subscribers_bucket{le=\"2\"}").await, 0.0);
    assert_eq!(read("courant_fanout_subscribers_bucket{le=\"5\"}").await, EVENTS as f64);
    assert_eq!(read("courant_fanout_queue_messages").await, 0.0);
    assert!(read("courant_sent_bytes_total").await >= sent_before + deliveries * 1000.0);
    assert!(read("courant_received_bytes_total").await > 0.0);
    assert!(read("courant_frames_written_total").await >= deliveries);
    assert!(read("courant_writes_total").await > 0.0);
    let published = "courant_http_requests_total{endpoint=\"events\",status=\"200\"}";
    assert_eq!(read(published).await, EVENTS as f64);
    assert_eq!(read("courant_http_request_seconds_count{endpoint=\"events\"}").await, EVENTS as f64);

    clients.pop().unwrap().close().await;
    until("one subscription less", async || {
        (server.metric("courant_subscriptions").await == (SUBSCRIBERS - 1) as f64).then_some(())
    })
    .await;
    clients.clear();
    until("no channel", async || (server.metric("courant_channels").await == 0.0).then_some(())).await;
}

#[tokio::test]
async fn messages_and_refused_publishes_are_counted_by_kind() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let mut client = Pusher::connect(&server, &app).await;
    client.subscribe("private-a").await;
    client.trigger("private-a", "client-hello", json!({})).await;
    client.unsubscribe("private-a").await;
    client.sign_in("ann").await;
    client.send(&json!({"event": "pusher:nonsense", "data": {}})).await;
    client.expect_event("pusher:error").await;
    client.websocket.send("no json").await;
    client.expect_event("pusher:error").await;
    client.send(&json!({"event": "pusher:pong", "data": {}})).await;
    client.expect_silence().await;
    for (kind, count) in [
        ("subscribe", 1.0),
        ("client_event", 1.0),
        ("unsubscribe", 1.0),
        ("signin", 1.0),
        ("unknown", 1.0),
        ("invalid", 1.0),
        ("pong", 1.0),
        ("ping", 1.0),
    ] {
        let series = format!("courant_messages_received_total{{kind=\"{kind}\"}}");
        assert_eq!(server.metric(&series).await, count, "{kind}");
    }
    assert_eq!(server.metric("courant_publishes_total{source=\"client\"}").await, 1.0);
    let api = Api::new(&server, &app);
    let too_large = json!({"name": "a", "channel": "b", "data": "x".repeat(20_000)});
    assert_eq!(api.post("/events", &too_large).await.status, 413);
    assert_eq!(api.post("/events", &json!({"name": "a", "channel": "b!?", "data": "x"})).await.status, 400);
    assert_eq!(server.metric("courant_publish_errors_total{reason=\"too_large\"}").await, 1.0);
    assert_eq!(server.metric("courant_publish_errors_total{reason=\"invalid\"}").await, 1.0);
    assert_eq!(server.metric("courant_limit_hits_total{limit=\"event_bytes\"}").await, 1.0);
}

#[tokio::test]
async fn members_of_presence_channels_are_counted() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let mut clients = Vec::new();
    for user_id in ["ann", "ann", "bob"] {
        let mut client = Pusher::connect(&server, &app).await;
        client.subscribe_as("presence-room", user_id).await;
        clients.push(client);
    }
    let are = async |count: f64| {
        until("that many members", async || {
            (server.metric("courant_presence_members").await == count).then_some(())
        })
        .await;
    };
    are(3.0).await;
    clients[2].unsubscribe("presence-room").await;
    are(2.0).await;
    clients.clear();
    are(0.0).await;
}

#[tokio::test]
async fn no_label_holds_what_a_client_made_up() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let mut client = Pusher::connect(&server, &app).await;
    client.subscribe_as("presence-made-up", "made-up-user").await;
    client.trigger("presence-made-up", "client-made-up", json!("made-up")).await;
    client.send(&json!({"event": "made-up"})).await;
    client.expect_event("pusher:error").await;
    client.websocket.send_close(4999).await;
    client.websocket.closed().await;
    for request in ["GET /made-up HTTP/1.1", "MADE-UP / HTTP/1.1", "GET /apps/made-up/channels HTTP/1.1"] {
        let mut raw = Raw::connect(server.address).await;
        raw.send(format!("{request}\r\nhost: made-up\r\nconnection: close\r\n\r\n")).await;
        raw.closed().await;
    }
    counted(&server, "courant_connections_closed_total{code=\"other\"}", 1.0).await;
    let metrics = server.metrics().await.to_lowercase();
    assert!(!metrics.contains("made-up") && !metrics.contains("made_up"), "{metrics}");
}

#[tokio::test]
async fn the_two_addresses_serve_nothing_of_each_other() {
    let app = App::usual();
    let server = Server::with(&app).await;
    assert_eq!(server.private_get("/livez").await.unwrap().text(), "ok\n");
    assert_eq!(server.private_get("/readyz").await.unwrap().text(), "ok\n");
    for path in ["/metrics", "/livez", "/readyz", "/drain", "/debug"] {
        let mut raw = Raw::connect(server.address).await;
        raw.send(format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")).await;
        assert_eq!(raw.closed().await.status(), Some(404), "{path}");
    }
    for path in ["/", "/app/app-key", "/apps/1001/channels", "/pusher/app/app-key/1/a/xhr"] {
        assert_eq!(server.private_get(path).await.unwrap().status, 404, "{path}");
    }
}

#[tokio::test]
async fn metrics_can_be_switched_off_and_health_can_not() {
    let server = Server::builder().config("[metrics]\nenabled = false").start().await;
    assert_eq!(server.private_get("/metrics").await.unwrap().status, 404);
    assert_eq!(server.private_get("/livez").await.unwrap().status, 200);
    assert_eq!(server.private_get("/readyz").await.unwrap().status, 200);
}

//! Requests that are no requests, or no proper ones.

use crate::bystander::{Bystander, counted};
use crate::raw::{Raw, target, upgrade};
use crate::support::{Api, App, Server};

const BAD_REQUESTS: &str = "courant_connections_rejected_total{reason=\"bad_request\"}";

async fn started(config: &str) -> (Server, App, Bystander) {
    let app = App::usual();
    let server = Server::builder().app(&app).config(config).start().await;
    let bystander = Bystander::new(&server, &app).await;
    (server, app, bystander)
}

/// What the server answers to these bytes before it closes.
async fn answer(server: &Server, bytes: impl AsRef<[u8]>) -> crate::raw::Ended {
    let mut client = Raw::connect(server.address).await;
    client.send(bytes).await;
    client.closed().await
}

#[tokio::test]
async fn a_head_that_is_too_large_is_answered_with_431() {
    let (server, _app, mut bystander) = started("[limits]\nrequest_head_bytes_max = \"8KiB\"").await;
    let head = format!("GET / HTTP/1.1\r\nhost: a\r\nx-large: {}\r\n\r\n", "a".repeat(9 << 10));
    assert_eq!(answer(&server, head).await.status(), Some(431));
    counted(&server, BAD_REQUESTS, 1.0).await;
    bystander.is_served().await;
}

#[tokio::test]
async fn too_many_headers_are_answered_with_431() {
    let (server, _app, mut bystander) = started("[limits]\nrequest_headers_max = 16").await;
    let head = |count: usize| {
        let headers: String = (1..count).map(|number| format!("x-{number}: 1\r\n")).collect();
        format!("GET / HTTP/1.1\r\nconnection: close\r\n{headers}\r\n")
    };
    assert_eq!(answer(&server, head(16)).await.status(), Some(200));
    assert_eq!(answer(&server, head(17)).await.status(), Some(431));
    counted(&server, BAD_REQUESTS, 1.0).await;
    bystander.is_served().await;
}

#[tokio::test]
async fn a_url_of_any_length_is_answered() {
    let (server, app, mut bystander) = started("").await;
    let request = |length: usize| {
        let path = format!("/apps/{}/channels/{}", app.id, "a".repeat(length));
        format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
    };
    // The signature is missing.
    assert_eq!(answer(&server, request(8000)).await.status(), Some(401));
    let status = answer(&server, request(17 << 10)).await.status();
    assert!(matches!(status, Some(414 | 431)), "{status:?}");
    let status = answer(&server, request(1 << 20)).await.status();
    assert!(matches!(status, Some(414 | 431) | None), "{status:?}");
    counted(&server, BAD_REQUESTS, 2.0).await;
    bystander.is_served().await;
}

#[tokio::test]
async fn bytes_that_are_no_http_are_answered_with_400_or_closed() {
    let (server, _app, mut bystander) = started("[limits]\nrequest_head_timeout = \"500ms\"").await;
    let hostile: [&[u8]; 8] = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS client hello, roughly",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
        b"\0\0\0\0\0\0\0\0\0\0\0\0\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nhost\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        b"GET / HTTP/1.1\r\n folded: header\r\n\r\n",
    ];
    for bytes in hostile {
        let ended = answer(&server, bytes).await;
        let status = ended.status();
        assert!(
            matches!(status, Some(400 | 505) | None),
            "{} to {:?}",
            ended.text,
            bytes.escape_ascii().to_string()
        );
    }
    counted(&server, BAD_REQUESTS, 6.0).await;
    bystander.is_served().await;
}

#[tokio::test]
async fn a_request_with_both_a_length_and_chunks_smuggles_nothing() {
    let (server, app, mut bystander) = started("").await;
    let inner = format!("GET /apps/{}/channels HTTP/1.1\r\nhost: a\r\n\r\n", app.id);
    let request = format!(
        "POST /apps/{}/events HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\ntransfer-encoding: chunked\r\n\
         connection: close\r\n\r\n0\r\n\r\n{inner}",
        app.id,
        inner.len() + 5
    );
    let ended = answer(&server, request).await;
    assert_eq!(ended.text.matches("HTTP/1.1 ").count(), 1, "{}", ended.text);
    bystander.is_served().await;
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let (server, app, mut bystander) = started("").await;
    let request = |path: &str, more: &str| format!("GET {path} HTTP/1.1\r\nhost: a\r\n{more}\r\n");
    let requests = [
        request("/", ""),
        request("/nothing", ""),
        request(&format!("/apps/{}/channels", app.id), ""),
        request("/apps/0/channels", ""),
        request("/", "connection: close\r\n"),
    ];
    let ended = answer(&server, requests.concat()).await;
    let statuses: Vec<&str> = ended.text.split("HTTP/1.1 ").skip(1).map(|response| &response[..3]).collect();
    assert_eq!(statuses, ["200", "404", "401", "404", "200"], "{}", ended.text);
    bystander.is_served().await;
}

#[tokio::test]
async fn http_1_0_is_answered_and_closed() {
    let (server, app, mut bystander) = started("").await;
    let ended = answer(&server, "GET / HTTP/1.0\r\n\r\n").await;
    assert!(
        ended.text.starts_with("HTTP/1.0 200 OK\r\n") && ended.text.ends_with("courant\n"),
        "{}",
        ended.text
    );
    // A WebSocket needs 1.1.
    let ended = answer(&server, upgrade(app.key).replace("HTTP/1.1", "HTTP/1.0")).await;
    assert!(ended.text.starts_with("HTTP/1.0 505 "), "{}", ended.text);
    bystander.is_served().await;
}

#[tokio::test]
async fn a_half_closed_client_still_gets_its_answer() {
    let (server, app, mut bystander) = started("").await;
    let publish = target(&Api::new(&server, &app).request("POST", "/events", b"{}"));
    for (request, status) in [
        ("GET / HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(), 200),
        (format!("POST {publish} HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n{{}}"), 400),
        // What it announced does not come any more.
        (format!("POST {publish} HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\n{{}}"), 408),
    ] {
        let mut client = Raw::connect(server.address).await;
        client.send(&request).await;
        client.shutdown().await;
        let ended = client.closed().await;
        assert_eq!(ended.status(), Some(status), "{request}: {}", ended.text);
    }
    bystander.is_served().await;
}

#[tokio::test]
async fn a_half_closed_websocket_is_over() {
    let (server, app, mut bystander) = started("").await;
    let mut client = Raw::connect(server.address).await;
    client.send(upgrade(app.key)).await;
    client.read_to("pusher:connection_established").await;
    client.shutdown().await;
    client.closed().await;
    counted(&server, "courant_connections_closed_total{code=\"none\"}", 1.0).await;
    bystander.is_served().await;
}

#[tokio::test]
async fn a_body_that_is_too_large_is_answered_with_413() {
    let (server, app, mut bystander) = started("[limits]\nrequest_body_bytes_max = \"16KiB\"").await;
    let api = Api::new(&server, &app);
    let exact = api.request("POST", "/events", &vec![b'x'; 16 << 10]).send().await;
    assert_eq!(exact.status, 400, "it is read, and is no JSON: {}", exact.text());
    for size in [(16 << 10) + 1, 300_000, 4_000_000] {
        let response = api.request("POST", "/events", &vec![b'x'; size]).send().await;
        assert_eq!(response.status, 413, "{}", response.text());
        assert!(response.text().contains("16384 bytes"), "{}", response.text());
    }
    counted(&server, "courant_limit_hits_total{limit=\"body_bytes\"}", 3.0).await;
    counted(&server, "courant_http_requests_total{endpoint=\"events\",status=\"413\"}", 3.0).await;
    // Without a length it is no different.
    let mut client = Raw::connect(server.address).await;
    let path = target(&api.request("POST", "/events", b"x"));
    client.send(format!("POST {path} HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n")).await;
    client.send(format!("4001\r\n{}\r\n", "x".repeat(0x4001))).await;
    assert_eq!(client.closed().await.status(), Some(413));
    bystander.is_served().await;
}

#[tokio::test]
async fn a_message_hidden_behind_the_upgrade_request_is_answered() {
    let (server, app, mut bystander) = started("").await;
    let ping = crate::support::websocket::frame(0x81, br#"{"event":"pusher:ping","data":{}}"#);
    let mut client = Raw::connect(server.address).await;
    client.send([upgrade(app.key).as_bytes(), &ping].concat()).await;
    client.read_to("pusher:pong").await;
    bystander.is_served().await;
}

#[tokio::test]
async fn a_connection_may_be_upgraded_after_other_requests() {
    let (server, app, mut bystander) = started("[limits]\nrequest_head_timeout = \"300ms\"").await;
    let mut client = Raw::connect(server.address).await;
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    client.read_to("courant\n").await;
    client.send(upgrade(app.key)).await;
    client.read_to("pusher:connection_established").await;
    // The times of HTTP no longer hold.
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    client.send(crate::support::websocket::frame(0x81, br#"{"event":"pusher:ping","data":{}}"#)).await;
    client.read_to("pusher:pong").await;
    bystander.is_served().await;
}

#[tokio::test]
async fn a_client_that_asks_before_it_sends_a_body_is_told_to() {
    let (server, app, mut bystander) = started("").await;
    let mut client = Raw::connect(server.address).await;
    let target = Api::new(&server, &app).request("POST", "/events", b"{}").target();
    let head =
        format!("POST {target} HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\nexpect: 100-continue\r\n\r\n");
    client.send(head).await;
    client.read_to("HTTP/1.1 100 Continue\r\n\r\n").await;
    client.send("{}").await;
    client.read_to("HTTP/1.1 400 ").await;
    bystander.is_served().await;
}

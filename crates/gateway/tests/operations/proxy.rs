//! Behind proxies: whose address a client has.
//!
//! An address shows in the limit of connections per address: with one allowed, a second from the same is told 429.

use crate::bystander::counted;
use crate::raw::{Raw, upgrade};
use crate::support::{App, Server, Xhr};

const ONE_EACH: &str = "[limits]\nconnections_per_address_max = 1\naddress_exempt = []\n";
const REFUSED: &str = "courant_connections_rejected_total{reason=\"proxy_header\"}";
const TOO_MANY: &str = "courant_connections_rejected_total{reason=\"connections_per_address\"}";

/// What a proxy on 127.0.0.1 says in version 1.
fn version_1(client: &str) -> Vec<u8> {
    format!("PROXY TCP4 {client} 192.0.2.1 50000 80\r\n").into_bytes()
}

/// The same in version 2: signature, version and command, family, length, addresses and ports.
fn version_2(command: u8, client: [u8; 4]) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    header.extend([0x20 | command, 0x11, 0, 12]);
    header.extend(client);
    header.extend([192, 0, 2, 1, 0xc3, 0x50, 0, 80]);
    header
}

async fn started(proxy_protocol: &str, from: &str) -> (Server, App) {
    let app = App::usual();
    let config = format!(
        "{ONE_EACH}[server]\nproxy_protocol = \"{proxy_protocol}\"\nproxy_protocol_from = [\"{from}\"]\n"
    );
    (Server::builder().app(&app).config(&config).start().await, app)
}

/// Connects with these bytes before the upgrade, and is let in.
async fn let_in(server: &Server, app: &App, before: &[u8]) -> Raw {
    let mut client = Raw::connect(server.address).await;
    client.send([before, upgrade(app.key).as_bytes()].concat()).await;
    client.read_to("pusher:connection_established").await;
    client
}

/// The same, but is turned away; answers the status, if there is one.
async fn turned_away(server: &Server, app: &App, before: &[u8]) -> Option<u16> {
    let mut client = Raw::connect(server.address).await;
    client.send([before, upgrade(app.key).as_bytes()].concat()).await;
    client.closed().await.status()
}

#[tokio::test]
async fn a_proxy_header_of_a_trusted_network_names_the_client() {
    let (server, app) = started("required", "127.0.0.0/8").await;
    let _first = let_in(&server, &app, &version_1("198.51.100.1")).await;
    let _second = let_in(&server, &app, &version_2(1, [198, 51, 100, 2])).await;
    // IPv6 counts by its /64.
    let v6 = |client: &str| format!("PROXY TCP6 {client} 2001:db8::1 50000 80\r\n").into_bytes();
    let _third = let_in(&server, &app, &v6("2001:db8:1::7")).await;
    assert_eq!(turned_away(&server, &app, &version_1("198.51.100.2")).await, Some(429));
    assert_eq!(turned_away(&server, &app, &version_2(1, [198, 51, 100, 1])).await, Some(429));
    assert_eq!(turned_away(&server, &app, &v6("2001:db8:1::8")).await, Some(429));
    // The same address in another writing.
    assert_eq!(turned_away(&server, &app, &v6("::ffff:198.51.100.1")).await, Some(429));
    assert_eq!(server.metric(TOO_MANY).await, 4.0);
    // A health check of the proxy itself is the proxy's.
    let _health_check = let_in(&server, &app, &version_2(0, [0; 4])).await;
    assert_eq!(turned_away(&server, &app, b"PROXY UNKNOWN\r\n").await, Some(429));
    assert_eq!(server.metric(REFUSED).await, 0.0);
}

#[tokio::test]
async fn a_header_that_comes_in_pieces_is_read_to_its_end() {
    let (server, app) = started("required", "127.0.0.0/8").await;
    for header in [version_1("198.51.100.1"), version_2(1, [198, 51, 100, 2])] {
        let mut client = Raw::connect(server.address).await;
        client.stream.set_nodelay(true).unwrap();
        for byte in header {
            client.send([byte]).await;
            tokio::task::yield_now().await;
        }
        client.send(upgrade(app.key)).await;
        client.read_to("pusher:connection_established").await;
        // It is closed before the next, so the place is free again; what counts is that it was let in.
    }
}

#[tokio::test]
async fn where_a_header_is_required_nothing_else_is_let_in() {
    let (server, app) = started("required", "127.0.0.0/8").await;
    let hostile: [&[u8]; 6] = [
        b"",
        b"PROXY TCP4 not-an-address 192.0.2.1 1 2\r\n",
        b"PROXY TCP4 1.2.3.4 192.0.2.1 99999 2\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\xff\xff\xff\xff",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x02ab",
        &[b'P'; 5000],
    ];
    for bytes in hostile {
        assert_eq!(turned_away(&server, &app, bytes).await, None, "{}", bytes.escape_ascii());
    }
    counted(&server, REFUSED, 6.0).await;
    let_in(&server, &app, &version_1("198.51.100.1")).await;
}

#[tokio::test]
async fn a_header_from_anybody_else_ends_the_connection() {
    let (server, app) = started("required", "198.51.100.0/24").await;
    assert_eq!(turned_away(&server, &app, &version_1("198.51.100.1")).await, None);
    assert_eq!(turned_away(&server, &app, b"").await, None);
    counted(&server, REFUSED, 2.0).await;
}

#[tokio::test]
async fn an_optional_header_may_be_left_out_but_not_made_up() {
    let (server, app) = started("optional", "127.0.0.1/32").await;
    let _behind_proxy = let_in(&server, &app, &version_1("198.51.100.1")).await;
    let _direct = let_in(&server, &app, b"").await;
    // Without a header a client is its own address.
    assert_eq!(turned_away(&server, &app, b"").await, Some(429));
    for header in [version_1("198.51.100.9"), version_2(1, [198, 51, 100, 9]), version_2(0, [0; 4])] {
        let mut untrusted = Raw::connect_from([127, 0, 0, 2], server.address).await;
        untrusted.send([&header[..], upgrade(app.key).as_bytes()].concat()).await;
        let ended = untrusted.closed().await;
        assert_eq!(ended.status(), None, "{}", ended.text);
    }
    counted(&server, REFUSED, 3.0).await;
    let mut untrusted = Raw::connect_from([127, 0, 0, 2], server.address).await;
    untrusted.send(upgrade(app.key)).await;
    untrusted.read_to("pusher:connection_established").await;
}

#[tokio::test]
async fn a_proxy_header_that_does_not_come_in_time_is_not_waited_for() {
    let app = App::usual();
    let config = "[server]\nproxy_protocol = \"required\"\nproxy_protocol_from = [\"127.0.0.0/8\"]\n\
                  [limits]\nrequest_head_timeout = \"400ms\"";
    let server = Server::builder().app(&app).config(config).start().await;
    let silent = Raw::connect(server.address).await;
    let mut dripping = Raw::connect(server.address).await;
    dripping.send(b"PROXY TCP4 ").await;
    let (silent, dripping) =
        tokio::join!(silent.closed(), dripping.drip(b"1", std::time::Duration::from_millis(50)));
    assert_eq!((silent.text.as_str(), dripping.text.as_str()), ("", ""));
    assert!(silent.after >= std::time::Duration::from_millis(400), "after {:?}", silent.after);
    counted(&server, "courant_limit_hits_total{limit=\"handshake_time\"}", 1.0).await;
}

/// A WebSocket through an HTTP proxy that says whom it is for.
fn forwarded(app: &App, forwarded_for: &[&str]) -> String {
    let headers: String = forwarded_for.iter().map(|value| format!("x-forwarded-for: {value}\r\n")).collect();
    upgrade(app.key).replace("upgrade: websocket", &format!("{headers}upgrade: websocket"))
}

async fn status(source: [u8; 4], server: &Server, request: &str) -> (u16, Raw) {
    let mut client = Raw::connect_from(source, server.address).await;
    client.send(request).await;
    let head = client.read_to("\r\n\r\n").await;
    (head[9..12].parse().unwrap(), client)
}

#[tokio::test]
async fn a_trusted_proxy_says_whom_a_websocket_is_for() {
    let app = App::usual();
    let config = format!("{ONE_EACH}[server]\ntrusted_proxies = [\"127.0.0.1\", \"10.0.0.0/8\"]\n");
    let server = Server::builder().app(&app).config(&config).start().await;
    let proxy = [127, 0, 0, 1];
    let mut open = Vec::new();
    for (forwarded_for, expected) in [
        (&["198.51.100.1"][..], 101),
        (&["198.51.100.1"], 429),
        (&["198.51.100.2"], 101),
        // The rightmost that is no trusted proxy counts; what is left of it may be made up.
        (&["198.51.100.7, 198.51.100.2"], 429),
        (&["198.51.100.7", "198.51.100.2, 10.1.2.3"], 429),
        (&["198.51.100.2, 198.51.100.3"], 101),
        (&["[2001:db8::1]:4711"], 101),
        (&["2001:db8::2"], 429),
    ] {
        let (status, client) = status(proxy, &server, &forwarded(&app, forwarded_for)).await;
        assert_eq!(status, expected, "{forwarded_for:?}");
        open.push(client);
    }
    assert_eq!(server.metric(TOO_MANY).await, 4.0);
}

#[tokio::test]
async fn nobody_else_is_believed() {
    let app = App::usual();
    let config = format!("{ONE_EACH}[server]\ntrusted_proxies = [\"127.0.0.1\"]\n");
    let server = Server::builder().app(&app).config(&config).start().await;
    let stranger = [127, 0, 0, 2];
    let (first, _open) = status(stranger, &server, &forwarded(&app, &["198.51.100.1"])).await;
    let (second, _) = status(stranger, &server, &forwarded(&app, &["198.51.100.2"])).await;
    assert_eq!((first, second), (101, 429));
}

#[tokio::test]
async fn a_path_prefix_is_before_every_path_and_may_be_left_out() {
    let app = App::usual();
    let config = "[server]\npath_prefix = \"/realtime/v1\"";
    let server = Server::builder().app(&app).config(config).start().await;
    let mut clients = Vec::new();
    for prefix in ["/realtime/v1", ""] {
        let mut websocket = Raw::connect(server.address).await;
        websocket.send(upgrade(app.key).replace("/app/", &format!("{prefix}/app/"))).await;
        websocket.read_to("pusher:connection_established").await;
        let subscribe = br#"{"event":"pusher:subscribe","data":{"channel":"news"}}"#;
        websocket.send(crate::support::websocket::frame(0x81, subscribe)).await;
        websocket.read_to("subscription_succeeded").await;
        clients.push(websocket);

        let mut session = Xhr::new(&server, &app, &format!("session{}", clients.len()));
        session.path = format!("{prefix}{}", session.path);
        assert_eq!(session.poll_line().await, "o");
        assert_eq!(session.send_raw(b"[]").await.status, 204);
    }
    // SDKs sign the path with the prefix or without it, whatever they are told.
    let api = crate::support::Api::new(&server, &app);
    let body = br#"{"name":"hello","channel":"news","data":"{}"}"#;
    for (sent, signed) in [("/realtime/v1", "/realtime/v1"), ("/realtime/v1", ""), ("", "")] {
        let mut request = api.request("POST", "/events", body);
        let path = request.path.clone();
        request.path = format!("{sent}{path}");
        request.signed_path = format!("{signed}{path}");
        let response = request.send().await;
        assert_eq!(response.status, 200, "{sent} {signed}: {}", response.text());
        for client in &mut clients {
            client.read_to("hello").await;
        }
    }
    let (missing, _) =
        status([127, 0, 0, 1], &server, "GET /realtime/v2/app/x HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert_eq!(missing, 404);
}

//! How many connections there may be: of all, of an address, of an application, and how fast they may come.

use crate::bystander::{Bystander, counted};
use crate::raw::{Raw, upgrade};
use crate::support::{App, Message, Pusher, Server, WebSocket, until};

fn rejected(reason: &str) -> String {
    format!("courant_connections_rejected_total{{reason=\"{reason}\"}}")
}

async fn started(config: &str) -> (Server, App) {
    let app = App::usual();
    let server = Server::builder().app(&app).config(config).start().await;
    (server, app)
}

#[tokio::test]
async fn a_connection_too_many_is_told_503_and_when_to_come_back() {
    let (server, app) = started("[limits]\nconnections_max = 3").await;
    let mut first = Pusher::connect(&server, &app).await;
    let second = Pusher::connect(&server, &app).await;
    let mut third = Raw::connect(server.address).await;
    third.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    third.read_to("courant\n").await;
    for _ in 0..3 {
        let mut refused = Raw::connect(server.address).await;
        refused.send(upgrade(app.key)).await;
        let ended = refused.closed().await;
        assert_eq!(ended.status(), Some(503), "{}", ended.text);
        assert!(ended.text.contains("retry-after: "), "{}", ended.text);
    }
    counted(&server, &rejected("connections"), 3.0).await;
    assert_eq!(server.metric("courant_limit_hits_total{limit=\"connections\"}").await, 3.0);
    first.expect_silence().await;
    // A place that is given back is given away again.
    second.close().await;
    until("a free place", async || WebSocket::connect(server.address, "/app/app-key", &[]).await.ok()).await;
}

#[tokio::test]
async fn a_connection_too_many_of_an_address_is_told_429() {
    let config = "[limits]\nconnections_per_address_max = 2\naddress_exempt = []";
    let (server, app) = started(config).await;
    let mut mine = [Pusher::connect(&server, &app).await, Pusher::connect(&server, &app).await];
    let mut refused = Raw::connect(server.address).await;
    refused.send(upgrade(app.key)).await;
    let ended = refused.closed().await;
    assert_eq!(ended.status(), Some(429), "{}", ended.text);
    assert!(ended.text.contains("retry-after: "), "{}", ended.text);
    counted(&server, &rejected("connections_per_address"), 1.0).await;
    assert_eq!(server.metric("courant_limit_hits_total{limit=\"connections_per_address\"}").await, 1.0);
    // Another address has places of its own.
    let mut other = Raw::connect_from([127, 0, 0, 2], server.address).await;
    other.send(upgrade(app.key)).await;
    other.read_to("pusher:connection_established").await;
    for client in &mut mine {
        client.expect_silence().await;
    }
    let [first, _second] = mine;
    first.close().await;
    until("a free place", async || WebSocket::connect(server.address, "/app/app-key", &[]).await.ok()).await;
}

#[tokio::test]
async fn an_address_that_connects_too_fast_is_told_429() {
    let config = "[limits]\nconnections_per_address_per_second = 1\naddress_exempt = []";
    let (server, app) = started(config).await;
    // Twice as many may come at once.
    let mut clients = [Pusher::connect(&server, &app).await, Pusher::connect(&server, &app).await];
    let mut statuses = Vec::new();
    for _ in 0..10 {
        let mut raw = Raw::connect(server.address).await;
        raw.send("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
        statuses.push(raw.closed().await.status().unwrap());
    }
    let refused = statuses.iter().filter(|status| **status == 429).count();
    assert!(refused >= 5 && statuses.iter().all(|status| [200, 429].contains(status)), "{statuses:?}");
    assert_eq!(server.metric(&rejected("connection_rate")).await, refused as f64);
    assert_eq!(server.metric("courant_limit_hits_total{limit=\"connection_rate\"}").await, refused as f64);
    let mut other = Raw::connect_from([127, 0, 0, 3], server.address).await;
    other.send(upgrade(app.key)).await;
    other.read_to("pusher:connection_established").await;
    for client in &mut clients {
        client.expect_silence().await;
    }
}

#[tokio::test]
async fn exempt_addresses_have_no_limits_of_their_own() {
    let config = "[limits]\nconnections_per_address_max = 1\nconnections_per_address_per_second = 1";
    let (server, app) = started(config).await;
    let mut clients = Vec::new();
    for _ in 0..10 {
        clients.push(Pusher::connect(&server, &app).await);
    }
    assert_eq!(server.metric(&rejected("connections_per_address")).await, 0.0);
}

#[tokio::test]
async fn a_connection_too_many_of_an_application_is_closed_with_4004() {
    let full = App::usual().set("connections_max = 2");
    let other = App::new("2", "other-key", "other-secret");
    let server = Server::builder().app(&full).app(&other).start().await;
    let mut bystander = Bystander::new(&server, &other).await;
    let mut first = Pusher::connect(&server, &full).await;
    let second = Pusher::connect(&server, &full).await;
    let mut refused = WebSocket::connect(server.address, "/app/app-key", &[]).await.unwrap();
    let Message::Text(error) = refused.next().await else { panic!("no error") };
    assert!(error.contains(r#""code":4004"#), "{error}");
    assert_eq!(refused.closed().await.0, 4004);
    counted(&server, &rejected("connections_per_app"), 1.0).await;
    assert_eq!(server.metric("courant_limit_hits_total{limit=\"connections_per_app\"}").await, 1.0);
    first.expect_silence().await;
    bystander.is_served().await;
    second.close().await;
    until("a free place", async || {
        let mut websocket = WebSocket::connect(server.address, "/app/app-key", &[]).await.unwrap();
        let Message::Text(text) = websocket.next().await else { panic!("no message") };
        text.contains("connection_established").then_some(())
    })
    .await;
}

#[tokio::test]
async fn many_that_connect_and_leave_at_once_leave_nothing_behind() {
    let (server, app) = started("").await;
    let mut bystander = Bystander::new(&server, &app).await;
    for round in 0..5 {
        let mut raws = Vec::new();
        for number in 0..40 {
            let mut raw = Raw::connect(server.address).await;
            // Some leave before they said anything, some within the head, some at once after it.
            let upgrade = upgrade(app.key);
            let said = (number + round) * 7 % (upgrade.len() + 1);
            raw.send(if number % 2 == 0 { &upgrade } else { &upgrade[..said] }).await;
            raws.push(raw);
        }
        drop(raws);
        bystander.is_served().await;
    }
    until("all gone but the bystander", async || {
        let connections = server.metric("courant_connections{app=\"1001\",transport=\"websocket\"}").await;
        (connections == 1.0).then_some(())
    })
    .await;
}

//! WebSocket clients that break the protocol, or send more of it than anybody needs.

use serde_json::json;

use crate::bystander::{Bystander, counted};
use crate::raw::{Raw, upgrade};
use crate::support::websocket::frame;
use crate::support::{App, Message, Pusher, Server};

const TEXT: u8 = 0x81;
const TEXT_BEGINS: u8 = 0x01;
const CONTINUES: u8 = 0x00;
const PING: u8 = 0x89;

async fn started(config: &str) -> (Server, App, Bystander) {
    let app = App::usual();
    let server = Server::builder().app(&app).config(config).start().await;
    let bystander = Bystander::new(&server, &app).await;
    (server, app, bystander)
}

fn closed_with(code: u16) -> String {
    format!("courant_connections_closed_total{{code=\"{code}\"}}")
}

#[tokio::test]
async fn a_message_that_is_too_large_is_closed_with_1009_at_its_header() {
    let (server, app, mut bystander) = started("[limits]\nmessage_bytes_max = \"16KiB\"").await;
    let mut client = Pusher::connect(&server, &app).await;
    client.websocket.send_frame(TEXT, &vec![b' '; 16 << 10]).await;
    assert_eq!(client.next().await.name(), "pusher:error", "it is read, and is no JSON");
    // A header that announces too much is enough; the payload never comes.
    let header = [0x81, 0x80 | 127, 0, 0, 0, 0xff, 0, 0, 0, 0, 1, 2, 3, 4];
    tokio::io::AsyncWriteExt::write_all(&mut client.websocket.stream, &header).await.unwrap();
    assert_eq!(client.closed().await, (1009, "message is too big".into()));
    counted(&server, &closed_with(1009), 1.0).await;
    counted(&server, "courant_limit_hits_total{limit=\"message_bytes\"}", 1.0).await;
    bystander.is_served().await;
}

#[tokio::test]
async fn a_message_that_is_too_large_in_parts_is_closed_with_1009() {
    let (server, app, mut bystander) = started("[limits]\nmessage_bytes_max = \"16KiB\"").await;
    let mut client = Pusher::connect(&server, &app).await;
    client.websocket.send_frame(TEXT_BEGINS, &vec![b' '; 10 << 10]).await;
    client.websocket.send_frame(CONTINUES, &vec![b' '; 10 << 10]).await;
    assert_eq!(client.closed().await.0, 1009);
    counted(&server, "courant_limit_hits_total{limit=\"message_bytes\"}", 1.0).await;
    bystander.is_served().await;
}

#[tokio::test]
async fn a_frame_that_is_too_large_is_closed_with_1009() {
    let (server, app, mut bystander) = started("[limits]\nframe_bytes_max = \"4KiB\"").await;
    let mut client = Pusher::connect(&server, &app).await;
    // The same message in parts is fine.
    client.websocket.send_frame(TEXT_BEGINS, &vec![b' '; 4 << 10]).await;
    client.websocket.send_frame(0x80, &vec![b' '; 4 << 10]).await;
    assert_eq!(client.next().await.name(), "pusher:error");
    client.websocket.send_frame(TEXT, &vec![b' '; (4 << 10) + 1]).await;
    assert_eq!(client.closed().await.0, 1009);
    bystander.is_served().await;
}

#[tokio::test]
async fn a_message_of_endless_fragments_is_closed_with_1008() {
    let (server, app, mut bystander) = started("[limits]\nfragments_max = 8").await;
    let mut client = Pusher::connect(&server, &app).await;
    client.websocket.send_frame(TEXT_BEGINS, b"").await;
    for _ in 0..7 {
        client.websocket.send_frame(CONTINUES, b"").await;
    }
    // A control frame may come in between, and shows that nothing was closed yet.
    client.websocket.send_frame(PING, b"still").await;
    assert_eq!(client.next_message().await, Message::Pong(b"still".to_vec()));
    client.websocket.send_frame(CONTINUES, b"").await;
    assert_eq!(client.closed().await, (1008, "message has too many fragments".into()));
    counted(&server, &closed_with(1008), 1.0).await;
    counted(&server, "courant_limit_hits_total{limit=\"message_fragments\"}", 1.0).await;
    bystander.is_served().await;
}

#[tokio::test]
async fn breaches_of_the_protocol_are_closed_with_their_codes() {
    let (server, app, mut bystander) = started("").await;
    let hostile: [(&[u8], u16); 9] = [
        // Not masked, reserved bits, unknown opcodes.
        (b"\x81\x02{}", 1002),
        (b"\xc1\x80\0\0\0\0", 1002),
        (b"\x83\x80\0\0\0\0", 1002),
        (b"\x8b\x80\0\0\0\0", 1002),
        // A control frame in parts, and one that is too long.
        (b"\x09\x80\0\0\0\0", 1002),
        (b"\x89\xfe\x00\x7e\0\0\0\0", 1002),
        // A continuation of nothing.
        (b"\x80\x80\0\0\0\0", 1002),
        // Not UTF-8.
        (b"\x81\x82\0\0\0\0\xff\xff", 1007),
        // Binary.
        (b"\x82\x82\0\0\0\0{}", 1003),
    ];
    for (bytes, code) in hostile {
        let mut client = Pusher::connect(&server, &app).await;
        tokio::io::AsyncWriteExt::write_all(&mut client.websocket.stream, bytes).await.unwrap();
        assert_eq!(client.closed().await.0, code, "{}", bytes.escape_ascii());
    }
    assert_eq!(server.metric(&closed_with(1002)).await, 7.0);
    bystander.is_served().await;
}

#[tokio::test]
async fn a_flood_of_pings_is_answered_without_piling_up() {
    let (server, app, mut bystander) = started("").await;
    let before = server.metric("process_resident_memory_bytes").await;
    let mut flooding = Raw::connect_cramped(server.address).await;
    flooding.send(upgrade(app.key)).await;
    flooding.read_to("pusher:connection_established").await;
    // 4,000,000 bytes of pings; none of the pongs is read.
    let pings = frame(PING, &[b'p'; 100]).repeat(1000);
    for _ in 0..40 {
        flooding.send(&pings).await;
    }
    bystander.is_served().await;
    let queued = server.metric("courant_queue_bytes").await;
    assert!(queued <= f64::from(1 << 20), "{queued} bytes are queued");
    let grown = server.metric("process_resident_memory_bytes").await - before;
    assert!(grown < f64::from(32 << 20), "{grown} bytes more");
}

#[tokio::test]
async fn more_messages_than_allowed_are_closed_with_4100() {
    let app = App::usual();
    let config = "[limits]\nmessages_per_second = 1\nmessages_burst = 5";
    let server = Server::builder().app(&app).config(config).start().await;
    let mut bystander = Bystander::new(&server, &app).await;
    let mut flooding = Pusher::connect(&server, &app).await;
    let ping = json!({"event": "pusher:ping", "data": {}}).to_string();
    // In one write, so that no second passes in between on a slow machine.
    let burst = frame(TEXT, ping.as_bytes()).repeat(40);
    tokio::io::AsyncWriteExt::write_all(&mut flooding.websocket.stream, &burst).await.unwrap();
    let mut pongs = 0;
    let close = loop {
        match flooding.next_message().await {
            Message::Text(_) => pongs += 1,
            other => break other,
        }
    };
    assert_eq!(close, Message::Close(4100, "more messages per second than allowed".into()));
    assert!((5..40).contains(&pongs), "{pongs} pongs");
    counted(&server, "courant_limit_hits_total{limit=\"message_rate\"}", 1.0).await;
    drop(flooding);
    counted(&server, &closed_with(4100), 1.0).await;
    bystander.is_served().await;
}

#[tokio::test]
async fn one_more_channel_than_allowed_is_refused() {
    let (server, app, mut bystander) = started("[limits]\nchannels_per_connection_max = 3").await;
    let mut client = Pusher::connect(&server, &app).await;
    for channel in ["a", "b", "private-c"] {
        client.subscribe(channel).await;
    }
    client.send_subscribe("d", None).await;
    let error = client.skip_to("pusher:error").await;
    assert!(error.json["data"]["message"].as_str().unwrap().contains('3'), "{}", error.text);
    counted(&server, "courant_limit_hits_total{limit=\"channels_per_connection\"}", 1.0).await;
    // One less, and there is room again.
    client.unsubscribe("a").await;
    client.subscribe("d").await;
    bystander.is_served().await;
}

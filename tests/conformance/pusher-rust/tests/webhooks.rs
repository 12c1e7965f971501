//! A webhook of a real server, validated by the SDK.

use std::collections::HashMap;
use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

use conformance_pusher_rust::{Subscriber, TIMEOUT, unique};
use pusher::{PusherBuilder, Webhook};

const KEY: &str = "webhook-key";
const SECRET: &str = "webhook-secret";

#[test]
fn webhooks_are_valid_and_others_are_not() {
    let port = env::var("WEBHOOK_PORT").unwrap_or_default();
    if port.is_empty() {
        println!("skipped: the server under test does not know where to send webhooks");
        return;
    }
    let receiver = TcpListener::bind(format!("127.0.0.1:{port}")).unwrap();
    let mut subscriber = Subscriber::connect(KEY);
    let channel = unique("public");
    subscriber.subscribe(&channel, None);

    let (headers, body) = request(&receiver.accept().unwrap().0);
    let sdk = PusherBuilder::new("7", KEY, SECRET).finalize();
    let webhook: Webhook =
        sdk.webhook(&headers["x-pusher-key"], &headers["x-pusher-signature"], &body).unwrap();
    assert!(webhook.time_ms > 0);
    let event = HashMap::from([("name", "channel_occupied"), ("channel", channel.as_str())]);
    let expected: HashMap<String, String> = event.into_iter().map(|(k, v)| (k.into(), v.into())).collect();
    assert_eq!(webhook.events, [expected]);
    assert!(sdk.webhook(&headers["x-pusher-key"], &headers["x-pusher-signature"], "{}").is_err());
    assert!(sdk.webhook("another-key", &headers["x-pusher-signature"], &body).is_err());
}

/// The headers, by their names in lower case, and the body of a request, which is answered with 200.
fn request(stream: &TcpStream) -> (HashMap<String, String>, String) {
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    let mut reader = BufReader::new(stream);
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        match line.trim_end().split_once(": ") {
            Some((name, value)) => headers.insert(name.to_ascii_lowercase(), value.to_owned()),
            None if line.trim_end().is_empty() => break,
            None => None,
        };
    }
    let mut body = vec![0; headers["content-length"].parse().unwrap()];
    reader.read_exact(&mut body).unwrap();
    reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
    (headers, String::from_utf8(body).unwrap())
}

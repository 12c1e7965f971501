use super::*;
use crate::target::Endpoint;

fn target() -> Target {
    let endpoint = Endpoint {
        address: "127.0.0.1:6001".parse().unwrap(),
        host: "127.0.0.1:6001".to_owned(),
        prefix: String::new(),
    };
    Target {
        websocket: endpoint.clone(),
        http: endpoint,
        app_id: "3".to_owned(),
        key: "278d425bdf160c739803".to_owned(),
        secret: "7ad3773142a6692b25b8".to_owned(),
    }
}

/// The worked example of the Pusher HTTP API's documentation.
#[test]
fn signature_is_the_documented_one() {
    let publisher = Publisher::new(&target(), 0).unwrap();
    let body = br#"{"name":"foo","channels":["project-3"],"data":"{\"some\":\"data\"}"}"#;
    let md5 = hex::encode(Md5::digest(body));
    assert_eq!(md5, "ec365a775a4cd0599faeb73354201b6f");
    let mut mac = publisher.mac.clone();
    mac.update(
        format!(
            "POST\n/apps/3/events\nauth_key=278d425bdf160c739803&auth_timestamp=1353088179&auth_version=1.0&body_md5={md5}"
        )
        .as_bytes(),
    );
    let signature = hex::encode(mac.finalize().into_bytes());
    assert_eq!(signature, "da454824c97ba181a32ccc17a72625ba02771f50b50e1e7430e47a1f3f457e6c");
}

fn request(events: &[Event<'_>]) -> (String, serde_json::Value) {
    let mut out = Vec::new();
    Publisher::new(&target(), 100).unwrap().append_request(&mut out, events, 1_353_088_179);
    let text = String::from_utf8(out).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(&format!("Content-Length: {}", body.len())));
    (head.lines().next().unwrap().to_owned(), serde_json::from_str(body).unwrap())
}

#[test]
fn one_event_goes_to_the_single_endpoint_and_more_to_the_batch() {
    let stamp = Stamp { run: 1, lane: 0, sequence: 0, scheduled_ns: 5 };
    let (line, body) = request(&[Event { channel: "a", stamp }]);
    assert!(line.starts_with("POST /apps/3/events?auth_key=278d425bdf160c739803&auth_timestamp=1353088179&"));
    assert_eq!(body["channels"], serde_json::json!(["a"]));
    assert_eq!(body["data"].as_str().unwrap().len(), 100);

    let (line, body) = request(&[Event { channel: "a", stamp }, Event { channel: "b", stamp }]);
    assert!(line.starts_with("POST /apps/3/batch_events?"));
    assert_eq!(body["batch"][1]["channel"], "b");
    assert_eq!(body["batch"][0]["name"], EVENT);
}

#[test]
fn server_messages_are_told_apart() {
    for (text, control_of_it) in [
        (
            r#"{"event":"pusher:connection_established","data":"{\"socket_id\":\"1.2\"}"}"#,
            Control::Established,
        ),
        (
            r#"{"event":"pusher_internal:subscription_succeeded","channel":"a","data":"{}"}"#,
            Control::Subscribed,
        ),
        (r#"{"event":"pusher:ping","data":"{}"}"#, Control::Ping),
        (r#"{"event":"pusher:error","data":{"code":4100,"message":"over quota"}}"#, Control::Error),
        (r#"{"event":"pusher:pong","data":"{}"}"#, Control::Other),
        ("", Control::Other),
    ] {
        assert_eq!(control(text.as_bytes()), control_of_it, "{text}");
    }
}

#[test]
fn clients_ping_as_soon_as_the_server_asks_for() {
    for (text, seconds) in [
        (
            r#"{"event":"pusher:connection_established","data":"{\"socket_id\":\"1.2\",\"activity_timeout\":30}"}"#,
            30,
        ),
        (
            r#"{"event":"pusher:connection_established","data":"{\"activity_timeout\":9999999999999999999999}"}"#,
            120,
        ),
        (r#"{"event":"pusher:connection_established","data":"{\"activity_timeout\":0}"}"#, 120),
        (r#"{"event":"pusher:connection_established","data":"{\"socket_id\":\"1.2\"}"}"#, 120),
    ] {
        assert_eq!(activity_timeout_s(text.as_bytes()), seconds, "{text}");
    }
}

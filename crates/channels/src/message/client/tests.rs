use super::ClientMessage;

#[test]
fn subscribe_reads_what_official_clients_send() {
    let text = r#"{"event":"pusher:subscribe","data":{"auth":"","channel":"a"}}"#;
    let Ok(ClientMessage::Subscribe { channel, auth, channel_data }) = ClientMessage::parse(text) else {
        panic!("{text}");
    };
    assert_eq!((&*channel, auth.as_deref(), channel_data), ("a", Some(""), None));
}

#[test]
fn channel_data_counts_only_as_a_string() {
    for (json, expected) in [
        (r#""{\"user_id\":10}""#, Some(r#"{"user_id":10}"#)),
        (r#""""#, Some("")),
        ("null", None),
        (r#"{"user_id":10}"#, None),
    ] {
        let text = format!(
            r#"{{"event":"pusher:subscribe","data":{{"channel":"presence-a","auth":"k:s","channel_data":{json}}}}}"#
        );
        let Ok(ClientMessage::Subscribe { channel_data, .. }) = ClientMessage::parse(&text) else {
            panic!("{text}");
        };
        assert_eq!(channel_data.as_deref(), expected, "{json}");
    }
}

#[test]
fn pings_need_no_data() {
    for text in [
        r#"{"event":"pusher:ping"}"#,
        r#"{"event":"pusher:ping","data":{}}"#,
        r#"{"event":"pusher:ping","data":"{}"}"#,
    ] {
        assert!(matches!(ClientMessage::parse(text), Ok(ClientMessage::Ping)), "{text}");
    }
}

#[test]
fn client_events_keep_their_data_to_the_letter() {
    let text = r#"{"event":"client-a","channel":"private-b","data": {"x": 1.0 , "y":"\u00e9"} }"#;
    let Ok(ClientMessage::ClientEvent { event, channel, data }) = ClientMessage::parse(text) else {
        panic!("{text}");
    };
    assert_eq!((&*event, &*channel), ("client-a", "private-b"));
    assert_eq!(data.map(|data| data.get()), Some(r#"{"x": 1.0 , "y":"\u00e9"}"#));
}

#[test]
fn what_is_no_message_is_an_error_and_no_panic() {
    let deep = "[".repeat(100_000);
    for text in [
        "",
        "x",
        "[]",
        "1",
        "null",
        "{}",
        r#"{"event":1}"#,
        r#"{"event":"pusher:subscribe"}"#,
        r#"{"event":"pusher:subscribe","data":null}"#,
        r#"{"event":"pusher:subscribe","data":{"channel":1}}"#,
        r#"{"event":"client-a"}"#,
        r#"{"event":"a","event":"b"}"#,
        &deep,
        &format!(r#"{{"event":"client-a","channel":"c","data":{deep}"#),
    ] {
        assert!(ClientMessage::parse(text).is_err(), "{}", &text[..text.len().min(80)]);
    }
}

#[test]
fn reserved_names_are_no_client_events() {
    for event in ["pusher:foo", "pusher_internal:member_added", "pusher:"] {
        let text = format!(r#"{{"event":"{event}","channel":"a","data":{{}}}}"#);
        assert!(matches!(ClientMessage::parse(&text), Ok(ClientMessage::Unknown { .. })), "{event}");
    }
}

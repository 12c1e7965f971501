use std::sync::Arc;

use courant_cluster::Member;
use serde_json::{Value, json};

use super::{ServerEvent, WatchlistChange, decoded_len, quoted};
use crate::error::SubscriptionFailure;

fn member(id: &str, info: Option<&str>) -> Member {
    Member { user_id: Arc::from(id), user_info: info.map(Arc::from) }
}

/// Takes a message apart as clients do: the data is JSON in a string.
fn parts(event: &ServerEvent<'_>) -> (Value, Value) {
    let envelope: Value = serde_json::from_str(&event.json()).expect("valid JSON");
    let data = envelope["data"].as_str().expect("data is a string");
    (envelope.clone(), serde_json::from_str(data).expect("the data is JSON"))
}

#[test]
fn data_is_json_in_a_string() {
    let event = ServerEvent::ConnectionEstablished { socket_id: "1.2", activity_timeout_s: 120 };
    assert_eq!(
        event.json(),
        r#"{"event":"pusher:connection_established","data":"{\"socket_id\":\"1.2\",\"activity_timeout\":120}"}"#
    );
    assert_eq!(ServerEvent::Pong.json(), r#"{"event":"pusher:pong","data":"{}"}"#);
    let event = ServerEvent::SubscriptionSucceeded { channel: "a", members: None };
    assert_eq!(
        event.json(),
        r#"{"event":"pusher_internal:subscription_succeeded","channel":"a","data":"{}"}"#
    );
}

#[test]
fn the_data_of_an_error_is_an_object() {
    let event = ServerEvent::Error { code: None, message: "a \"b\"" };
    assert_eq!(event.json(), r#"{"event":"pusher:error","data":{"code":null,"message":"a \"b\""}}"#);
    let event = ServerEvent::Error { code: Some(4301), message: "x" };
    assert_eq!(event.json(), r#"{"event":"pusher:error","data":{"code":4301,"message":"x"}}"#);
}

#[test]
fn presence_lists_ids_hash_and_count() {
    let members = [member("11", Some(r#"{"name":"A"}"#)), member("1\"2", None)];
    let (envelope, data) =
        parts(&ServerEvent::SubscriptionSucceeded { channel: "presence-x", members: Some(&members) });
    assert_eq!(envelope["channel"], "presence-x");
    assert_eq!(
        data,
        json!({"presence":{"ids":["11","1\"2"],"hash":{"11":{"name":"A"},"1\"2":{}},"count":2}})
    );
    let (_, data) = parts(&ServerEvent::SubscriptionSucceeded { channel: "presence-x", members: Some(&[]) });
    assert_eq!(data, json!({"presence":{"ids":[],"hash":{},"count":0}}));
}

#[test]
fn members_come_and_go() {
    let (_, data) = parts(&ServerEvent::MemberAdded {
        channel: "presence-x",
        member: &member("12", Some(r#"{"name":"B"}"#)),
    });
    assert_eq!(data, json!({"user_id":"12","user_info":{"name":"B"}}));
    let (_, data) = parts(&ServerEvent::MemberAdded { channel: "presence-x", member: &member("12", None) });
    assert_eq!(data, json!({"user_id":"12"}));
    let (_, data) = parts(&ServerEvent::MemberRemoved { channel: "presence-x", user_id: "12" });
    assert_eq!(data, json!({"user_id":"12"}));
}

#[test]
fn the_rest_has_its_documented_shape() {
    let failure = SubscriptionFailure { kind: "AuthError", status: 401 };
    let (_, data) = parts(&ServerEvent::SubscriptionError { channel: "private-a", failure, message: "no" });
    assert_eq!(data, json!({"type":"AuthError","error":"no","status":401}));
    let (_, data) = parts(&ServerEvent::SubscriptionCount { channel: "a", subscription_count: 13 });
    assert_eq!(data, json!({"subscription_count":13}));
    let (_, data) = parts(&ServerEvent::SigninSuccess { user_data: r#"{"id":"1"}"# });
    assert_eq!(data, json!({"user_data":"{\"id\":\"1\"}"}));
    let changes = [
        WatchlistChange { online: true, user_ids: vec!["a", "b"] },
        WatchlistChange { online: false, user_ids: vec!["c"] },
    ];
    let (envelope, data) = parts(&ServerEvent::Watchlist { changes: &changes });
    assert_eq!(envelope["event"], "pusher_internal:watchlist_events");
    assert_eq!(
        data,
        json!({"events":[{"name":"online","user_ids":["a","b"]},{"name":"offline","user_ids":["c"]}]})
    );
}

#[test]
fn an_events_data_is_not_touched() {
    let data = r#""{\"a\": 1,\u00e9}""#;
    let event = ServerEvent::Channel { event: "e", channel: "presence-x", data, user_id: Some("7") };
    assert_eq!(
        event.json(),
        r#"{"event":"e","channel":"presence-x","data":"{\"a\": 1,\u00e9}","user_id":"7"}"#
    );
}

#[test]
fn texts_are_quoted_as_json_wants_them() {
    for text in ["", "plain", "\"\\\n\r\t\u{0}\u{1f}\u{7f}", "üñí😀", "\u{2028}"] {
        let back: String = serde_json::from_str(&quoted(text)).expect("valid JSON");
        assert_eq!(back, text);
    }
}

#[test]
fn the_decoded_length_is_that_of_the_text() {
    for json in
        [r#""""#, r#""abc""#, r#""\"\\\n""#, r#""\u00e9\u0041\u20ac""#, r#""\ud83d\ude00x""#, r#""é😀""#]
    {
        let text: String = serde_json::from_str(json).unwrap();
        assert_eq!(decoded_len(json), Some(text.len()), "{json}");
    }
    assert_eq!(decoded_len("{}"), None);
    assert_eq!(decoded_len("\""), None);
}

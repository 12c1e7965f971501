//! A client's messages: no text breaks the parser, and what is made of one for others is a message again.

use courant_auth::AppLimits;
use courant_channels::message::{ClientMessage, ServerEvent, decoded_len, quoted};
use courant_channels::presence::parse_member;
use courant_channels::user::parse_user;
use courant_channels::{ChannelName, SocketId};
use serde_json::Value;

/// Takes the bytes of a text message.
pub(crate) fn check(data: &[u8]) {
    // The decoder of frames lets nothing else through.
    let Ok(text) = std::str::from_utf8(data) else { return };
    check_texts(text);
    match ClientMessage::parse(text) {
        Ok(ClientMessage::Ping | ClientMessage::Pong) => {}
        Ok(ClientMessage::Subscribe { channel, channel_data, .. }) => {
            check_name(&channel);
            if let Some(channel_data) = channel_data {
                check_member(&channel_data);
            }
        }
        Ok(ClientMessage::Unsubscribe { channel }) => check_name(&channel),
        Ok(ClientMessage::SignIn { user_data, .. }) => check_user(&user_data),
        Ok(ClientMessage::ClientEvent { event, channel, data }) => {
            check_name(&channel);
            check_relayed(&event, &channel, data.map_or("null", |data| data.get()));
        }
        Ok(ClientMessage::Unknown { event }) => {
            assert!(event.starts_with("pusher:") || event.starts_with("pusher_internal:"));
            check_error(&format!("Unknown event '{event}'"));
        }
        Err(error) => check_error(&error.to_string()),
    }
}

/// What is done with single texts, with any text at all.
fn check_texts(text: &str) {
    let json = quoted(text);
    assert_eq!(serde_json::from_str::<String>(&json).expect("a JSON string"), text);
    assert_eq!(decoded_len(&json), Some(text.len()));
    check_name(text);
    check_member(text);
    check_user(text);
    if let Ok(id) = text.parse::<SocketId>() {
        assert_eq!(id.to_string().parse(), Ok(id));
    }
    // It must not panic, whatever it counts.
    let _length = decoded_len(text);
    if let Ok(decoded) = serde_json::from_str::<String>(text)
        && text.starts_with('"')
        && text.ends_with('"')
    {
        assert_eq!(decoded_len(text), Some(decoded.len()), "the bytes of {text}");
    }
}

fn check_name(text: &str) {
    let Ok(name) = ChannelName::parse(text) else { return };
    assert_eq!(name.as_str(), text);
    let kind = name.kind();
    assert_eq!(name.server_to_user().is_some(), text.starts_with('#'));
    assert!(!kind.is_presence() || kind.needs_auth());
    assert!(name.server_to_user().is_none() || !kind.cached && !kind.allows_client_events());
}

fn check_member(channel_data: &str) {
    let limits = AppLimits::default();
    let Ok(member) = parse_member(channel_data, &limits) else { return };
    assert!(!member.user_id.is_empty() && member.user_id.len() <= limits.member_id_bytes_max);
    let members = [member];
    let added = ServerEvent::MemberAdded { channel: "presence-a", member: &members[0] }.json();
    let greeting =
        ServerEvent::SubscriptionSucceeded { channel: "presence-a", members: Some(&members) }.json();
    // A lone half of a surrogate pair is JSON to everybody but serde's values.
    let info: Option<Value> = match &members[0].user_info {
        Some(info) => match serde_json::from_str(info) {
            Ok(info) => Some(info),
            Err(_) => return,
        },
        None => None,
    };
    let added = data(&added);
    assert_eq!(added["user_id"], *members[0].user_id);
    assert_eq!(added.get("user_info"), info.as_ref());
    let presence = &data(&greeting)["presence"];
    assert_eq!(presence["ids"][0], *members[0].user_id);
    let empty = Value::Object(Default::default());
    assert_eq!(presence["hash"][&*members[0].user_id], info.unwrap_or(empty));
}

fn check_user(user_data: &str) {
    let limits = AppLimits::default();
    let success = ServerEvent::SigninSuccess { user_data }.json();
    assert_eq!(data(&success)["user_data"], user_data);
    let Ok(user) = parse_user(user_data, &limits) else { return };
    assert!(!user.id.is_empty() && user.id.len() <= limits.user_id_bytes_max);
    assert!(user.watchlist.len() <= limits.watchlist_max && user.watchlist.len() <= user.watchlist_given);
    assert!(user.watchlist.is_sorted_by(|a, b| a < b), "each once");
    // Its own channel exists.
    assert!(ChannelName::parse(&format!("#server-to-user-{}", user.id)).is_ok());
}

/// A client event as the others get it.
fn check_relayed(event: &str, channel: &str, sent: &str) {
    let string = if sent.starts_with('"') { sent.to_owned() } else { quoted(sent) };
    let relayed = ServerEvent::Channel { event, channel, data: &string, user_id: Some(channel) }.json();
    let Ok(relayed) = serde_json::from_str::<Value>(&relayed) else {
        assert!(sent.contains("\\u"), "only half a surrogate pair may be unreadable: {relayed}");
        return;
    };
    assert_eq!((&relayed["event"], &relayed["channel"]), (&event.into(), &channel.into()));
    assert_eq!(relayed["user_id"], channel);
    let data = relayed["data"].as_str().expect("data is a string");
    assert!(sent.starts_with('"') || data == sent);
}

fn check_error(message: &str) {
    let event = ServerEvent::Error { code: None, message }.json();
    let event: Value = serde_json::from_str(&event).expect("JSON");
    assert_eq!(event["data"]["message"], message);
}

/// The JSON in an event's data.
fn data(event: &str) -> Value {
    let event: Value = serde_json::from_str(event).expect("an event is JSON");
    serde_json::from_str(event["data"].as_str().expect("its data is a string")).expect("of JSON")
}

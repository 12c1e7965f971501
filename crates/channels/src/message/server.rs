//! What the server sends.

use courant_cluster::Member;
use courant_wire::Frame;

use crate::error::SubscriptionFailure;

/// An event to a client. The data of each is JSON inside a string, but for `pusher:error`, whose data is an object
/// (pusher-websocket-dotnet reads it so), and it is never left out (pusher-websocket-java needs it).
#[derive(Debug)]
pub enum ServerEvent<'a> {
    /// `pusher:connection_established`, the first message.
    ConnectionEstablished {
        /// The connection's id.
        socket_id: &'a str,
        /// Seconds of silence after which the client should ping; never 0, pusher-js refuses that.
        activity_timeout_s: u64,
    },
    /// `pusher:ping`
    Ping,
    /// `pusher:pong`
    Pong,
    /// `pusher:error`; the connection stays open, or a close follows.
    Error {
        /// `null` where the real service gives none.
        code: Option<u16>,
        /// The text.
        message: &'a str,
    },
    /// `pusher_internal:subscription_succeeded`
    SubscriptionSucceeded {
        /// The channel.
        channel: &'a str,
        /// Its members, in a presence channel, the subscriber included.
        members: Option<&'a [Member]>,
    },
    /// `pusher:subscription_error`: pusher-js and Laravel Echo hand it to the channel.
    SubscriptionError {
        /// The channel, as it was asked for.
        channel: &'a str,
        /// Words and number for programs.
        failure: SubscriptionFailure,
        /// The text.
        message: &'a str,
    },
    /// `pusher_internal:member_added`
    MemberAdded {
        /// The presence channel.
        channel: &'a str,
        /// Who came.
        member: &'a Member,
    },
    /// `pusher_internal:member_removed`
    MemberRemoved {
        /// The presence channel.
        channel: &'a str,
        /// Who left.
        user_id: &'a str,
    },
    /// `pusher_internal:subscription_count`
    SubscriptionCount {
        /// The channel.
        channel: &'a str,
        /// Connections in it.
        subscription_count: u64,
    },
    /// `pusher:cache_miss`
    CacheMiss {
        /// The cache channel.
        channel: &'a str,
    },
    /// `pusher:signin_success`
    SigninSuccess {
        /// What was signed, as it came.
        user_data: &'a str,
    },
    /// `pusher_internal:watchlist_events`
    Watchlist {
        /// Who came online and who went.
        changes: &'a [WatchlistChange<'a>],
    },
    /// An event of the application or of another client.
    Channel {
        /// The event's name.
        event: &'a str,
        /// The channel.
        channel: &'a str,
        /// The data, a JSON string as it goes onto the wire.
        data: &'a str,
        /// The sender's user id, for client events in presence channels.
        user_id: Option<&'a str>,
    },
}

/// Users whose status changed in the same way.
#[derive(Clone, Debug)]
pub struct WatchlistChange<'a> {
    /// Whether they came online; otherwise they went offline.
    pub online: bool,
    /// Who.
    pub user_ids: Vec<&'a str>,
}

impl ServerEvent<'_> {
    /// The event as a complete WebSocket frame.
    pub fn frame(&self) -> Frame {
        Frame::text(&self.json())
    }

    /// The event as JSON text.
    pub fn json(&self) -> String {
        let mut out = String::with_capacity(128);
        match self {
            Self::ConnectionEstablished { socket_id, activity_timeout_s } => {
                let data =
                    format!(r#"{{"socket_id":"{socket_id}","activity_timeout":{activity_timeout_s}}}"#);
                envelope(&mut out, "pusher:connection_established", None, &data);
            }
            Self::Ping => envelope(&mut out, "pusher:ping", None, "{}"),
            Self::Pong => envelope(&mut out, "pusher:pong", None, "{}"),
            Self::Error { code, message } => {
                let code = code.map_or("null".to_owned(), |code| code.to_string());
                out.push_str(r#"{"event":"pusher:error","data":{"code":"#);
                out.push_str(&code);
                out.push_str(r#","message":"#);
                push_quoted(&mut out, message);
                out.push_str("}}");
            }
            Self::SubscriptionSucceeded { channel, members } => {
                let data = members.map_or("{}".to_owned(), presence);
                envelope(&mut out, "pusher_internal:subscription_succeeded", Some(channel), &data);
            }
            Self::SubscriptionError { channel, failure, message } => {
                let mut data = format!(r#"{{"type":"{}","error":"#, failure.kind);
                push_quoted(&mut data, message);
                data.push_str(&format!(r#","status":{}}}"#, failure.status));
                envelope(&mut out, "pusher:subscription_error", Some(channel), &data);
            }
            Self::MemberAdded { channel, member } => {
                let mut data = String::from(r#"{"user_id":"#);
                push_quoted(&mut data, &member.user_id);
                if let Some(info) = &member.user_info {
                    data.push_str(r#","user_info":"#);
                    data.push_str(info);
                }
                data.push('}');
                envelope(&mut out, "pusher_internal:member_added", Some(channel), &data);
            }
            Self::MemberRemoved { channel, user_id } => {
                let data = format!(r#"{{"user_id":{}}}"#, quoted(user_id));
                envelope(&mut out, "pusher_internal:member_removed", Some(channel), &data);
            }
            Self::SubscriptionCount { channel, subscription_count } => {
                let data = format!(r#"{{"subscription_count":{subscription_count}}}"#);
                envelope(&mut out, "pusher_internal:subscription_count", Some(channel), &data);
            }
            Self::CacheMiss { channel } => envelope(&mut out, "pusher:cache_miss", Some(channel), "{}"),
            Self::SigninSuccess { user_data } => {
                let data = format!(r#"{{"user_data":{}}}"#, quoted(user_data));
                envelope(&mut out, "pusher:signin_success", None, &data);
            }
            Self::Watchlist { changes } => {
                envelope(&mut out, "pusher_internal:watchlist_events", None, &watchlist(changes));
            }
            Self::Channel { event, channel, data, user_id } => {
                out.reserve(event.len() + channel.len() + data.len());
                out.push_str(r#"{"event":"#);
                push_quoted(&mut out, event);
                out.push_str(r#","channel":"#);
                push_quoted(&mut out, channel);
                out.push_str(r#","data":"#);
                out.push_str(data);
                if let Some(user_id) = user_id {
                    out.push_str(r#","user_id":"#);
                    push_quoted(&mut out, user_id);
                }
                out.push('}');
            }
        }
        out
    }
}

/// `{"event":…,"channel":…,"data":"…"}` with `data`, JSON text, put into a string.
fn envelope(out: &mut String, event: &str, channel: Option<&str>, data: &str) {
    out.push_str(r#"{"event":""#);
    out.push_str(event);
    out.push('"');
    if let Some(channel) = channel {
        out.push_str(r#","channel":"#);
        push_quoted(out, channel);
    }
    out.push_str(r#","data":"#);
    push_quoted(out, data);
    out.push('}');
}

/// `hash` is an object even when it is empty, and holds `{}` for members without information: clients that compare
/// with `null` would take them for absent.
fn presence(members: &[Member]) -> String {
    let mut data = String::from(r#"{"presence":{"ids":["#);
    for (at, member) in members.iter().enumerate() {
        if at > 0 {
            data.push(',');
        }
        push_quoted(&mut data, &member.user_id);
    }
    data.push_str(r#"],"hash":{"#);
    for (at, member) in members.iter().enumerate() {
        if at > 0 {
            data.push(',');
        }
        push_quoted(&mut data, &member.user_id);
        data.push(':');
        data.push_str(member.user_info.as_deref().unwrap_or("{}"));
    }
    data.push_str(&format!(r#"}},"count":{}}}}}"#, members.len()));
    data
}

fn watchlist(changes: &[WatchlistChange<'_>]) -> String {
    let mut data = String::from(r#"{"events":["#);
    for (at, change) in changes.iter().enumerate() {
        if at > 0 {
            data.push(',');
        }
        data.push_str(r#"{"name":""#);
        data.push_str(if change.online { "online" } else { "offline" });
        data.push_str(r#"","user_ids":["#);
        for (at, user_id) in change.user_ids.iter().enumerate() {
            if at > 0 {
                data.push(',');
            }
            push_quoted(&mut data, user_id);
        }
        data.push_str("]}");
    }
    data.push_str("]}");
    data
}

/// A text as a JSON string.
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    push_quoted(&mut out, text);
    out
}

/// Appends a text as a JSON string.
fn push_quoted(out: &mut String, text: &str) {
    out.push('"');
    let mut plain = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escape = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0x00..=0x1f => "",
            _ => continue,
        };
        out.push_str(&text[plain..at]);
        if escape.is_empty() {
            out.push_str(&format!("\\u{byte:04x}"));
        } else {
            out.push_str(escape);
        }
        plain = at + 1;
    }
    out.push_str(&text[plain..]);
    out.push('"');
}

/// The length in bytes of the text that a JSON string stands for; `None` if the JSON is no string.
///
/// It counts and does not build the text: limits are on what the application sent, not on how it was escaped.
pub fn decoded_len(json: &str) -> Option<usize> {
    let inner = json.strip_prefix('"')?.strip_suffix('"')?.as_bytes();
    let (mut at, mut length) = (0, 0);
    while let Some(&byte) = inner.get(at) {
        let (consumed, decoded) = match (byte, inner.get(at + 1)) {
            (b'\\', Some(b'u')) => escaped_unit(&inner[at..]),
            (b'\\', _) => (2, 1),
            _ => (1, 1),
        };
        at += consumed;
        length += decoded;
    }
    Some(length)
}

/// Bytes taken by a `\uXXXX` and by its UTF-8. A surrogate is half of a character of four bytes.
fn escaped_unit(escape: &[u8]) -> (usize, usize) {
    let digits = escape.get(2..6).and_then(|digits| std::str::from_utf8(digits).ok());
    let decoded = match digits.and_then(|digits| u16::from_str_radix(digits, 16).ok()) {
        Some(0..=0x7f) => 1,
        Some(0x80..=0x7ff) => 2,
        Some(0xd800..=0xdfff) => 2,
        _ => 3,
    };
    (6, decoded)
}

#[cfg(test)]
mod tests;

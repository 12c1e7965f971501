//! The Pusher Channels protocol, as far as a load generator speaks it.
//!
//! A receiver tells messages apart by searching for event names. That is enough for servers under test, whose
//! answers have one of few shapes, and costs a fraction of parsing each envelope.

use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};
use memchr::memmem;
use sha2::Sha256;

use crate::frame;
use crate::stamp::Stamp;
use crate::target::Target;

/// The name of every published event.
const EVENT: &str = "bench";

/// What a message that carries no stamp says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Control {
    /// The handshake is complete; channels may be subscribed to.
    Established,
    /// The channel asked for is now delivered.
    Subscribed,
    /// To be answered with a pong.
    Ping,
    /// The server refused something.
    Error,
    /// Anything else; of no interest here.
    Other,
}

/// Tells what the message `text` is by the event name it holds.
pub(crate) fn control(text: &[u8]) -> Control {
    let holds = |name: &str| memmem::find(text, name.as_bytes()).is_some();
    if holds("\"pusher:ping\"") {
        Control::Ping
    } else if holds("\"pusher_internal:subscription_succeeded\"") {
        Control::Subscribed
    } else if holds("\"pusher:connection_established\"") {
        Control::Established
    } else if holds("\"pusher:error\"") || holds("subscription_error\"") {
        Control::Error
    } else {
        Control::Other
    }
}

/// After so many seconds of silence a client asks whether the server is there, by itself or if the server said no less.
const ACTIVITY_TIMEOUT_S: u64 = 120;

/// The seconds of silence after which a client pings, as told by `connection_established`.
pub(crate) fn activity_timeout_s(established: &[u8]) -> u64 {
    let name = b"activity_timeout";
    let told = memmem::find(established, name).and_then(|at| {
        // The data is JSON in a string, so the name is followed by an escaped quote and a colon.
        let digits = established[at + name.len()..].iter().skip_while(|byte| !byte.is_ascii_digit());
        let digits: String =
            digits.take_while(|byte| byte.is_ascii_digit()).map(|&byte| char::from(byte)).collect();
        digits.parse().ok()
    });
    told.filter(|seconds| (1..ACTIVITY_TIMEOUT_S).contains(seconds)).unwrap_or(ACTIVITY_TIMEOUT_S)
}

/// The frame that asks whether the server is there.
pub(crate) fn append_ping(out: &mut Vec<u8>) {
    frame::append_text(out, br#"{"event":"pusher:ping","data":{}}"#);
}

/// The HTTP request that opens a WebSocket for the application `key`.
///
/// `Sec-WebSocket-Key` is a constant: it guards against caches, and there are none on the way.
pub(crate) fn upgrade_request(host: &str, prefix: &str, key: &str) -> Vec<u8> {
    format!(
        "GET {prefix}/app/{key}?protocol=7&client=courant-bench&version=0.1.0&flash=false HTTP/1.1\r\n\
         Host: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    .into_bytes()
}

/// The frame that subscribes to a public channel.
pub(crate) fn append_subscribe(out: &mut Vec<u8>, channel: &str) {
    let message = format!(r#"{{"event":"pusher:subscribe","data":{{"channel":"{channel}","auth":""}}}}"#);
    frame::append_text(out, message.as_bytes());
}

/// The frame that answers `pusher:ping`.
pub(crate) fn append_pong(out: &mut Vec<u8>) {
    frame::append_text(out, br#"{"event":"pusher:pong","data":{}}"#);
}

/// The name of channel number `index` of a run. Public, and of legal characters.
pub(crate) fn channel_name(prefix: &str, index: u32) -> String {
    format!("{prefix}-{index}")
}

/// One event to publish.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Event<'a> {
    /// The channel's name.
    pub(crate) channel: &'a str,
    /// What identifies the message at its receivers.
    pub(crate) stamp: Stamp,
}

/// Builds signed publish requests for one application.
pub(crate) struct Publisher {
    /// Keyed once: a copy of the state costs less than keying again per request.
    mac: Hmac<Sha256>,
    host: String,
    single_path: String,
    batch_path: String,
    key: String,
    payload_bytes: usize,
    body: Vec<u8>,
}

impl Publisher {
    pub(crate) fn new(target: &Target, payload_bytes: usize) -> anyhow::Result<Self> {
        let Target { http, app_id, key, secret, .. } = target;
        Ok(Self {
            mac: <Hmac<Sha256> as KeyInit>::new_from_slice(secret.as_bytes())?,
            host: http.host.clone(),
            single_path: format!("{}/apps/{app_id}/events", http.prefix),
            batch_path: format!("{}/apps/{app_id}/batch_events", http.prefix),
            key: key.clone(),
            payload_bytes,
            body: Vec::new(),
        })
    }

    /// Appends a whole HTTP request: the single endpoint for one event, the batch endpoint for more.
    pub(crate) fn append_request(&mut self, out: &mut Vec<u8>, events: &[Event<'_>], unix_s: u64) {
        self.body.clear();
        let path = match events {
            [event] => {
                append_event(&mut self.body, event, "\"channels\":[\"", "\"]", self.payload_bytes);
                &self.single_path
            }
            events => {
                self.body.extend_from_slice(b"{\"batch\":[");
                for (index, event) in events.iter().enumerate() {
                    if index > 0 {
                        self.body.push(b',');
                    }
                    append_event(&mut self.body, event, "\"channel\":\"", "\"", self.payload_bytes);
                }
                self.body.extend_from_slice(b"]}");
                &self.batch_path
            }
        };
        let query = format!(
            "auth_key={}&auth_timestamp={unix_s}&auth_version=1.0&body_md5={}",
            self.key,
            hex::encode(Md5::digest(&self.body))
        );
        let mut mac = self.mac.clone();
        mac.update(format!("POST\n{path}\n{query}").as_bytes());
        let signature = hex::encode(mac.finalize().into_bytes());
        out.extend_from_slice(
            format!(
                "POST {path}?{query}&auth_signature={signature} HTTP/1.1\r\nHost: {}\r\n\
                 Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                self.host,
                self.body.len()
            )
            .as_bytes(),
        );
        out.extend_from_slice(&self.body);
    }
}

fn append_event(out: &mut Vec<u8>, event: &Event<'_>, before: &str, after: &str, payload_bytes: usize) {
    out.extend_from_slice(
        format!("{{\"name\":\"{EVENT}\",{before}{}{after},\"data\":\"", event.channel).as_bytes(),
    );
    event.stamp.append(out, payload_bytes);
    out.extend_from_slice(b"\"}");
}

#[cfg(test)]
mod tests;

//! What clients send.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

/// A message from a client (Pusher WebSocket protocol, "Events").
#[derive(Debug)]
pub enum ClientMessage<'a> {
    /// `pusher:ping`
    Ping,
    /// `pusher:pong`
    Pong,
    /// `pusher:subscribe`
    Subscribe {
        /// The channel, not checked yet.
        channel: Cow<'a, str>,
        /// `key:signature`; pusher-js sends an empty text for public channels.
        auth: Option<Cow<'a, str>>,
        /// The text that was signed, present if and only if the client sent a string.
        channel_data: Option<Cow<'a, str>>,
    },
    /// `pusher:unsubscribe`
    Unsubscribe {
        /// The channel, not checked yet.
        channel: Cow<'a, str>,
    },
    /// `pusher:signin`
    SignIn {
        /// `key:signature`
        auth: Cow<'a, str>,
        /// The text that was signed: the user as JSON.
        user_data: Cow<'a, str>,
    },
    /// Anything that does not begin with `pusher:` or `pusher_internal:`.
    ClientEvent {
        /// The event's name, not checked yet.
        event: Cow<'a, str>,
        /// The channel, not checked yet.
        channel: Cow<'a, str>,
        /// The data as it came; any JSON.
        data: Option<&'a RawValue>,
    },
    /// A `pusher:` event that no client sends.
    Unknown {
        /// Its name.
        event: Cow<'a, str>,
    },
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    event: Cow<'a, str>,
    #[serde(borrow, default)]
    channel: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Subscribe<'a> {
    #[serde(borrow)]
    channel: Cow<'a, str>,
    #[serde(borrow, default)]
    auth: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    channel_data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Unsubscribe<'a> {
    #[serde(borrow)]
    channel: Cow<'a, str>,
}

#[derive(Deserialize)]
struct SignIn<'a> {
    #[serde(borrow)]
    auth: Cow<'a, str>,
    #[serde(borrow)]
    user_data: Cow<'a, str>,
}

/// The text is no message; the reason is for the sender's eyes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotAMessage(String);

impl<'a> ClientMessage<'a> {
    /// Reads a message. Total: any text gives a message or an error.
    pub fn parse(text: &'a str) -> Result<Self, NotAMessage> {
        let envelope: Envelope<'a> = super::object(text).map_err(|error| NotAMessage(error.to_string()))?;
        match &*envelope.event {
            "pusher:ping" => Ok(Self::Ping),
            "pusher:pong" => Ok(Self::Pong),
            "pusher:subscribe" => {
                let data: Subscribe<'a> = object(envelope.data, "pusher:subscribe")?;
                let channel_data = data.channel_data.and_then(string);
                Ok(Self::Subscribe { channel: data.channel, auth: data.auth, channel_data })
            }
            "pusher:unsubscribe" => {
                let data: Unsubscribe<'a> = object(envelope.data, "pusher:unsubscribe")?;
                Ok(Self::Unsubscribe { channel: data.channel })
            }
            "pusher:signin" => {
                let data: SignIn<'a> = object(envelope.data, "pusher:signin")?;
                Ok(Self::SignIn { auth: data.auth, user_data: data.user_data })
            }
            event if event.starts_with("pusher:") || event.starts_with("pusher_internal:") => {
                Ok(Self::Unknown { event: envelope.event })
            }
            _ => match envelope.channel {
                Some(channel) => {
                    Ok(Self::ClientEvent { event: envelope.event, channel, data: envelope.data })
                }
                None => Err(NotAMessage("a client event needs a channel".into())),
            },
        }
    }
}

/// The data of a protocol event: an object. Its JSON inside a string, which some hand-written clients send, is not
/// accepted; no official client does it.
fn object<'a, T: Deserialize<'a>>(data: Option<&'a RawValue>, event: &str) -> Result<T, NotAMessage> {
    let data = data.ok_or_else(|| NotAMessage(format!("{event} needs data")))?;
    super::object(data.get()).map_err(|error| NotAMessage(format!("data of {event}: {error}")))
}

/// The text of a JSON string; `None` for any other value, `null` above all.
fn string<'a>(value: &'a RawValue) -> Option<Cow<'a, str>> {
    #[derive(Deserialize)]
    #[serde(transparent)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    serde_json::from_str::<Text<'a>>(value.get()).ok().map(|text| text.0)
}

#[cfg(test)]
mod tests;

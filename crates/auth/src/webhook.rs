//! Who is told about what happens in channels.

use std::fmt;
use std::str::FromStr;

use http::{HeaderName, HeaderValue, Uri, header};

#[cfg(test)]
mod tests;

/// What a webhook tells (Pusher webhooks, event types).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WebhookEvent {
    /// The first connection subscribed to a channel.
    ChannelOccupied,
    /// The last connection left a channel.
    ChannelVacated,
    /// The first connection of a user subscribed to a presence channel.
    MemberAdded,
    /// The last connection of a user left a presence channel.
    MemberRemoved,
    /// A client sent an event.
    ClientEvent,
    /// A client subscribed to a cache channel that holds no event.
    CacheMiss,
    /// The number of a channel's subscribers changed.
    SubscriptionCount,
}

/// A receiver of webhooks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookEndpoint {
    /// Where events are posted: `http` or `https`, with a host and without credentials.
    pub url: Uri,
    /// What it is told; empty: everything.
    pub event_types: Vec<WebhookEvent>,
    /// It is told only about channels whose name begins so.
    pub channel_prefix: Option<String>,
    /// It is told only about channels whose name ends so.
    pub channel_suffix: Option<String>,
    /// Sent with every request.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Whether a request may carry several events.
    pub batching: bool,
}

/// Why an endpoint can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// The URL is not one, is relative, or has another scheme.
    #[error("'{0}' is no URL like https://example.com/hook")]
    Url(String),
    /// The URL holds a user or a password, which would show up in logs.
    #[error("the URL holds credentials; send them in a header instead")]
    Credentials,
    /// No such event.
    #[error(
        "'{0}' is no webhook event; there are channel_occupied, channel_vacated, member_added, member_removed, \
         client_event, cache_miss and subscription_count"
    )]
    Event(String),
    /// The header's name or value is not legal in HTTP.
    #[error("'{0}' is no HTTP header")]
    Header(String),
    /// The header is one that Courant itself sets.
    #[error("the header '{0}' is set by courant itself")]
    ReservedHeader(HeaderName),
}

// === impl WebhookEvent ===

impl WebhookEvent {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::ChannelOccupied,
        Self::ChannelVacated,
        Self::MemberAdded,
        Self::MemberRemoved,
        Self::ClientEvent,
        Self::CacheMiss,
        Self::SubscriptionCount,
    ];

    /// Its name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ChannelOccupied => "channel_occupied",
            Self::ChannelVacated => "channel_vacated",
            Self::MemberAdded => "member_added",
            Self::MemberRemoved => "member_removed",
            Self::ClientEvent => "client_event",
            Self::CacheMiss => "cache_miss",
            Self::SubscriptionCount => "subscription_count",
        }
    }
}

impl FromStr for WebhookEvent {
    type Err = WebhookError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|event| event.as_str() == name)
            .ok_or_else(|| WebhookError::Event(name.to_owned()))
    }
}

impl fmt::Display for WebhookEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// === impl WebhookEndpoint ===

impl WebhookEndpoint {
    /// An endpoint that is told everything, an event in each request.
    ///
    /// # Errors
    /// The URL is not absolute, not `http` or `https`, or holds credentials.
    pub fn new(url: &str) -> Result<Self, WebhookError> {
        let uri: Uri = url.parse().map_err(|_| {
            // What can't be taken apart may still hold a password, which must not be shown.
            if url.contains('@') { WebhookError::Credentials } else { WebhookError::Url(url.to_owned()) }
        })?;
        let Some(authority) = uri.authority() else { return Err(WebhookError::Url(url.to_owned())) };
        if authority.as_str().contains('@') {
            return Err(WebhookError::Credentials);
        }
        if authority.host().is_empty() || !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(WebhookError::Url(url.to_owned()));
        }
        Ok(Self {
            url: uri,
            event_types: Vec::new(),
            channel_prefix: None,
            channel_suffix: None,
            headers: Vec::new(),
            batching: false,
        })
    }

    /// Adds a header to every request.
    ///
    /// # Errors
    /// It is not legal in HTTP, or is one that receivers rely on or that frames the request.
    pub fn add_header(&mut self, name: &str, value: &str) -> Result<(), WebhookError> {
        let error = || WebhookError::Header(name.to_owned());
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| error())?;
        let mut value = HeaderValue::from_str(value).map_err(|_| error())?;
        let is_reserved = [
            header::CONNECTION,
            header::CONTENT_LENGTH,
            header::CONTENT_TYPE,
            header::HOST,
            header::TRANSFER_ENCODING,
            header::UPGRADE,
        ]
        .contains(&name)
            || name.as_str().starts_with("x-pusher-");
        if is_reserved {
            return Err(WebhookError::ReservedHeader(name));
        }
        // Receivers are authorised with these, so they don't belong into logs.
        value.set_sensitive(true);
        self.headers.push((name, value));
        Ok(())
    }

    /// Whether it is told about this event of this channel.
    pub fn wants(&self, event: WebhookEvent, channel: &str) -> bool {
        let wants_event = self.event_types.is_empty() || self.event_types.contains(&event);
        let prefix_matches = self.channel_prefix.as_deref().is_none_or(|prefix| channel.starts_with(prefix));
        let suffix_matches = self.channel_suffix.as_deref().is_none_or(|suffix| channel.ends_with(suffix));
        wants_event && prefix_matches && suffix_matches
    }
}

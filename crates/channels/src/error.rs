//! What a client is told when it asks for something it can't have, in one table.

use courant_auth::signature::AuthError;

/// An error event: the connection stays open.
///
/// The texts follow the real service where its text is known (SDK tests, bug reports); where it is not, they are ours
/// and say so in the variant's comment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// The message is not JSON, or not a protocol message. Our text.
    #[error("Invalid message format: {0}")]
    InvalidMessage(String),
    /// The event begins with `pusher:` and is none that a client sends. Our text.
    #[error("Unknown event '{0}'")]
    UnknownEvent(String),
    /// The event is no client event: only those may come from clients. Our text.
    #[error("Client events must have names that begin with 'client-', '{0}' does not")]
    NotAClientEvent(String),
    /// The name breaks the rules.
    #[error("Invalid channel name '{0}'")]
    InvalidChannel(String),
    /// The connection has the channel already.
    #[error("Existing subscription to channel {0}")]
    AlreadySubscribed(String),
    /// The signature is missing, malformed or wrong.
    #[error("{0}")]
    Auth(#[from] AuthError),
    /// `channel_data` is missing, malformed or too large. Our text.
    #[error("Invalid channel_data for {channel}: {what}")]
    InvalidMember {
        /// The presence channel.
        channel: String,
        /// What is wrong with it.
        what: String,
    },
    /// The channel has as many members as it may. The text of older self-hosted servers, which clients match on.
    #[error("The maximum members per presence channel limit was reached ({members_max})")]
    MembersFull {
        /// The bound.
        members_max: usize,
    },
    /// The connection has as many channels as it may. Our text.
    #[error("This connection already has {channels_max} channels, the most it may have")]
    ChannelsFull {
        /// The bound.
        channels_max: usize,
    },
    /// Server-to-user channels are for that user alone. Our text.
    #[error("Channel {0} is only for connections that are signed in as its user")]
    NotYourUser(String),
    /// A client event to a channel that does not take any. Our text.
    #[error("Client event rejected - only supported on private and presence channels")]
    ClientEventsNotSupported,
    /// The application has them off. The text of the real service's debug console.
    #[error(
        "Client event rejected - you must enable 'Client events' in the app's settings before sending them"
    )]
    ClientEventsDisabled,
    /// The sender is not in the channel. Our text.
    #[error("Client event rejected - not subscribed to channel {0}")]
    NotSubscribed(String),
    /// The event's data or name is too large. Our text.
    #[error("Client event rejected - {what} exceeds {bytes_max} bytes")]
    ClientEventTooLarge {
        /// Data or name.
        what: &'static str,
        /// The bound.
        bytes_max: usize,
    },
    /// Too many client events.
    #[error("Client event rejected - the rate limit of {per_second} messages per second was exceeded")]
    ClientEventRate {
        /// The bound.
        per_second: u32,
    },
    /// `user_data` is malformed. Our text.
    #[error("Invalid user data: {0}")]
    InvalidUser(String),
    /// The connection is another user's. Our text.
    #[error("Connection is already signed in as another user")]
    AlreadySignedIn,
    /// The watchlist is longer than allowed; its beginning is watched. Our text.
    #[error("The watchlist has {given} users, only the first {users_max} are watched")]
    WatchlistTooLong {
        /// How many it has.
        given: usize,
        /// The bound.
        users_max: usize,
    },
    /// Presence or occupancy can't be decided now. Our text.
    #[error("The server can't do this at the moment, try again later")]
    Unavailable,
}

/// How a failed subscription is described in `pusher:subscription_error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubscriptionFailure {
    /// `AuthError`, `LimitReached`, ...: a word for programs.
    pub kind: &'static str,
    /// A number like an HTTP status.
    pub status: u16,
}

impl ProtocolError {
    /// The code in `pusher:error`; the real service sends `null` for most.
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::ClientEventRate { .. } => Some(4301),
            Self::WatchlistTooLong { .. } => Some(4302),
            _ => None,
        }
    }

    /// How a subscription that failed with it is described.
    pub fn subscription_failure(&self) -> SubscriptionFailure {
        let (kind, status) = match self {
            Self::Auth(_) | Self::NotYourUser(_) => ("AuthError", 401),
            Self::MembersFull { .. } => ("LimitReached", 4100),
            Self::ChannelsFull { .. } => ("LimitReached", 4100),
            Self::AlreadySubscribed(_) => ("AlreadySubscribed", 409),
            Self::Unavailable => ("Unavailable", 503),
            _ => ("InvalidRequest", 400),
        };
        SubscriptionFailure { kind, status }
    }
}

/// The error events as a Markdown table, for `docs/protocol.md`.
pub fn reference_markdown() -> String {
    let channel = || "CHANNEL".to_owned();
    let errors = [
        ProtocolError::InvalidMessage("REASON".into()),
        ProtocolError::UnknownEvent("EVENT".into()),
        ProtocolError::NotAClientEvent("EVENT".into()),
        ProtocolError::InvalidChannel(channel()),
        ProtocolError::AlreadySubscribed(channel()),
        ProtocolError::Auth(AuthError::Format),
        ProtocolError::Auth(AuthError::UnknownKey { key: "KEY".into() }),
        ProtocolError::Auth(AuthError::Mismatch { signed: "TEXT".into(), signature: "SIGNATURE".into() }),
        ProtocolError::InvalidMember { channel: channel(), what: "REASON".into() },
        ProtocolError::MembersFull { members_max: 100 },
        ProtocolError::ChannelsFull { channels_max: 1000 },
        ProtocolError::NotYourUser(channel()),
        ProtocolError::ClientEventsNotSupported,
        ProtocolError::ClientEventsDisabled,
        ProtocolError::NotSubscribed(channel()),
        ProtocolError::ClientEventTooLarge { what: "the data", bytes_max: 10_240 },
        ProtocolError::ClientEventRate { per_second: 10 },
        ProtocolError::InvalidUser("REASON".into()),
        ProtocolError::AlreadySignedIn,
        ProtocolError::WatchlistTooLong { given: 101, users_max: 100 },
        ProtocolError::Unavailable,
    ];
    let mut out = String::from("| code | `pusher:subscription_error` | message |\n|---|---|---|\n");
    for error in errors {
        let code = error.code().map_or("null".to_owned(), |code| code.to_string());
        let SubscriptionFailure { kind, status } = error.subscription_failure();
        out.push_str(&format!("| {code} | `{kind}`, {status} | `{error}` |\n"));
    }
    out
}

//! Close codes, in one table.

/// Why a connection is closed, in the codes that Pusher clients act on.
///
/// The range decides what a client does (Pusher WebSocket protocol, "Error codes"): after 4000-4099 it must not
/// reconnect unchanged, after 4100-4199 it waits a second or more, after 4200-4299 it reconnects at once. There is
/// no catch-all; and no close is ever in 4300-4399, which are codes of error events: pusher-js takes one as a close
/// for a refusal and never comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum CloseCode {
    /// The application wants TLS and the connection has none.
    TlsRequired = 4000,
    /// No application has this key.
    UnknownApp = 4001,
    /// The application is disabled.
    AppDisabled = 4003,
    /// The application has as many connections as it may.
    OverConnectionQuota = 4004,
    /// There is nothing at this path.
    PathNotFound = 4005,
    /// The client's version is not a version.
    InvalidVersion = 4006,
    /// The protocol version is not served.
    UnsupportedProtocol = 4007,
    /// No protocol version was given.
    NoProtocol = 4008,
    /// The connection may not be, or may no longer be.
    Unauthorized = 4009,
    /// The connection asks for more than it may have, or takes its messages too slowly; later it may fit.
    OverCapacity = 4100,
    /// The server is going away; another one will answer.
    Reconnect = 4200,
    /// A ping was not answered in time.
    PongMissing = 4201,
    /// A client that does not ping was silent for too long.
    Inactive = 4202,
}

impl CloseCode {
    /// Every code.
    pub const ALL: [Self; 13] = [
        Self::TlsRequired,
        Self::UnknownApp,
        Self::AppDisabled,
        Self::OverConnectionQuota,
        Self::PathNotFound,
        Self::InvalidVersion,
        Self::UnsupportedProtocol,
        Self::NoProtocol,
        Self::Unauthorized,
        Self::OverCapacity,
        Self::Reconnect,
        Self::PongMissing,
        Self::Inactive,
    ];

    /// The number on the wire.
    pub const fn code(self) -> u16 {
        self as u16
    }

    /// When it is sent, for the documentation.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::TlsRequired => "the application wants TLS and the connection has none",
            Self::UnknownApp => "no application has this key",
            Self::AppDisabled => "the application is disabled",
            Self::OverConnectionQuota => "the application has `connections_max` connections already",
            Self::PathNotFound => "a WebSocket at a path that is not `/app/KEY`",
            Self::InvalidVersion => "the `version` parameter is not a version string",
            Self::UnsupportedProtocol => "the `protocol` parameter is not 4, 5, 6 or 7",
            Self::NoProtocol => "no `protocol` parameter, where `require_protocol_parameter` is on",
            Self::Unauthorized => {
                "the origin is not allowed, the user's connections were terminated, or the connection did not \
                 authorise in time"
            }
            Self::OverCapacity => {
                "more messages than allowed, or a queue of unread messages over `queue_bytes_max`"
            }
            Self::Reconnect => "the server drains",
            Self::PongMissing => "no answer to a ping within `pong_timeout`",
            Self::Inactive => "a client of protocol 4, which has no pings, was silent for `idle_max`",
        }
    }

    /// What clients do after it, for the documentation.
    pub const fn client_action(self) -> &'static str {
        match self.code() {
            4000 => "reconnect with TLS",
            4001..=4099 => "do not reconnect",
            4100..=4199 => "reconnect after a second or more",
            _ => "reconnect at once",
        }
    }
}

/// A connection that is not let in, or is shown out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The close code.
    pub code: CloseCode,
    /// The reason that goes with it, in the close frame and in a `pusher:error` before it.
    pub message: String,
}

impl Refusal {
    /// A refusal with a reason.
    pub fn new(code: CloseCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// The close codes as a Markdown table, for `docs/protocol.md`.
pub fn reference_markdown() -> String {
    let mut out = String::from("| code | sent when | what clients do |\n|---|---|---|\n");
    for code in CloseCode::ALL {
        out.push_str(&format!("| {} | {} | {} |\n", code.code(), code.meaning(), code.client_action()));
    }
    out
}

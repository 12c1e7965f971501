//! The values that labels can take: closed sets, so that nothing a client sends can create a time series.

/// A closed set of values for one label.
pub trait Label: Copy + 'static {
    /// The label's name.
    const NAME: &'static str;
    /// Every value, in the order of [`index`](Self::index).
    const VALUES: &'static [&'static str];

    /// The position of this value in [`VALUES`](Self::VALUES).
    fn index(self) -> usize;

    /// The value as Prometheus sees it.
    fn as_str(self) -> &'static str {
        Self::VALUES[self.index()]
    }
}

/// Defines an enum whose variants are the values of a label.
macro_rules! label_set {
    ($(#[$doc:meta])* $name:ident: $label:literal { $($(#[$value_doc:meta])* $variant:ident = $value:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$value_doc])* $variant,)+
        }

        impl Label for $name {
            const NAME: &'static str = $label;
            const VALUES: &'static [&'static str] = &[$($value),+];

            fn index(self) -> usize {
                self as usize
            }
        }
    };
}

/// Defines a label whose values are known numbers and, for all others, `other`.
macro_rules! code_set {
    ($(#[$doc:meta])* $name:ident: $label:literal { $($code:literal)+ } $($(#[$extra_doc:meta])* $extra:ident = $extra_value:literal)?) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub struct $name(u8);

        impl $name {
            const CODES: &'static [u16] = &[$($code),+];
            $(
                $(#[$extra_doc])*
                pub const $extra: Self = Self(Self::CODES.len() as u8 + 1);
            )?
        }

        impl From<u16> for $name {
            fn from(code: u16) -> Self {
                let known = Self::CODES.iter().position(|known| *known == code);
                Self(known.unwrap_or(Self::CODES.len()) as u8)
            }
        }

        impl Label for $name {
            const NAME: &'static str = $label;
            const VALUES: &'static [&'static str] = &[$(stringify!($code),)+ "other", $($extra_value)?];

            fn index(self) -> usize {
                usize::from(self.0)
            }
        }
    };
}

label_set! {
    /// What carries a connection.
    Transport: "transport" {
        /// A WebSocket.
        WebSocket = "websocket",
        /// The streaming HTTP fallback.
        XhrStreaming = "xhr_streaming",
        /// The polling HTTP fallback.
        XhrPolling = "xhr_polling",
    }
}

label_set! {
    /// Why a connection was refused before it was established.
    RejectReason: "reason" {
        /// This process is stopping or being drained.
        Draining = "draining",
        /// More connections are open than the server takes.
        Connections = "connections",
        /// One address has as many connections as it may.
        ConnectionsPerAddress = "connections_per_address",
        /// One address opens connections faster than it may.
        ConnectionRate = "connection_rate",
        /// The app has as many connections as it may (close 4004).
        ConnectionsPerApp = "connections_per_app",
        /// No app has this key (close 4001).
        UnknownApp = "unknown_app",
        /// The app is disabled (close 4003).
        AppDisabled = "app_disabled",
        /// The page's origin is not one that the app allows (close 4009).
        Origin = "origin",
        /// The app takes connections over TLS only (close 4000).
        TlsRequired = "tls_required",
        /// The path names no app (close 4005).
        Path = "path",
        /// The protocol version is missing, malformed or not supported (closes 4006 to 4008).
        ProtocolVersion = "protocol_version",
        /// Too busy to take more now (close 4100 or HTTP 503).
        Overloaded = "overloaded",
        /// The TLS handshake failed.
        Tls = "tls",
        /// The request was no valid HTTP, or no valid upgrade.
        BadRequest = "bad_request",
        /// A PROXY header was missing, malformed, or came from an address that may not send one.
        ProxyHeader = "proxy_header",
        /// The handshake, TLS or HTTP, took too long.
        HandshakeTimeout = "handshake_timeout",
    }
}

code_set! {
    /// The WebSocket code that a connection ended with, from either side.
    CloseCode: "code" {
        1000 1001 1002 1003 1005 1006 1007 1008 1009 1010 1011 1012 1013
        4000 4001 4002 4003 4004 4005 4006 4007 4008 4009 4100 4200 4201 4202
    }
    /// The stream ended without a close frame.
    NONE = "none"
}

label_set! {
    /// What a client's message asked for.
    ReceivedKind: "kind" {
        /// `pusher:subscribe`.
        Subscribe = "subscribe",
        /// `pusher:unsubscribe`.
        Unsubscribe = "unsubscribe",
        /// `pusher:ping`.
        Ping = "ping",
        /// `pusher:pong`.
        Pong = "pong",
        /// `pusher:signin`.
        SignIn = "signin",
        /// A `client-` event.
        ClientEvent = "client_event",
        /// Well-formed, with an event name that the protocol does not know; ignored.
        Unknown = "unknown",
        /// Not a message of the protocol.
        Invalid = "invalid",
    }
}

label_set! {
    /// Who published.
    PublishSource: "source" {
        /// The HTTP API.
        Http = "http",
        /// A connected client, by a client event.
        Client = "client",
        /// The server itself: member, count, watchlist and cache events.
        Server = "server",
    }
}

label_set! {
    /// Why a publish was refused.
    PublishError: "reason" {
        /// A field is missing or malformed.
        Invalid = "invalid",
        /// The data, the batch or the list of channels is too large.
        TooLarge = "too_large",
        /// Not signed by the app, or the client may not send to this channel.
        Forbidden = "forbidden",
        /// Faster than the app or the connection may.
        RateLimited = "rate_limited",
        /// The bus does not take it now.
        Unavailable = "unavailable",
    }
}

label_set! {
    /// A bound that was hit.
    Limit: "limit" {
        /// Bytes of one WebSocket frame, or of one message over all its frames.
        MessageBytes = "message_bytes",
        /// Frames of one message.
        MessageFragments = "message_fragments",
        /// Bytes queued to one connection.
        QueueBytes = "queue_bytes",
        /// Time for TLS and the upgrade.
        HandshakeTime = "handshake_time",
        /// Time for the head of an HTTP request.
        HeadTime = "head_time",
        /// Time for the body of an HTTP request.
        BodyTime = "body_time",
        /// Bytes of the body of an HTTP request.
        BodyBytes = "body_bytes",
        /// Time without taking anything of an HTTP answer.
        AnswerTime = "answer_time",
        /// Time until a connection has signed in or joined an authorised channel.
        AuthenticationTime = "authentication_time",
        /// Time until a pong.
        PongTime = "pong_time",
        /// Connections of the server.
        Connections = "connections",
        /// Connections of an address.
        ConnectionsPerAddress = "connections_per_address",
        /// Connections of an app.
        ConnectionsPerApp = "connections_per_app",
        /// New connections per second of an address.
        ConnectionRate = "connection_rate",
        /// Messages per second of a connection.
        MessageRate = "message_rate",
        /// Client events per second of a connection.
        ClientEventRate = "client_event_rate",
        /// Requests or publishes per second of an app.
        PublishRate = "publish_rate",
        /// Channels of a connection.
        ChannelsPerConnection = "channels_per_connection",
        /// Channels of an app on this gateway.
        Channels = "channels",
        /// Channels of one publish.
        ChannelsPerPublish = "channels_per_publish",
        /// Events of one batch.
        BatchEvents = "batch_events",
        /// Bytes of an event's data.
        EventBytes = "event_bytes",
        /// Length of an event's name.
        EventName = "event_name",
        /// Length of a channel's name.
        ChannelName = "channel_name",
        /// Length of a user's id.
        UserId = "user_id",
        /// Members of a presence channel.
        PresenceMembers = "presence_members",
        /// Bytes of what is known of a member.
        MemberBytes = "member_bytes",
        /// Users of a watchlist.
        Watchlist = "watchlist",
        /// Sessions of the HTTP fallback.
        FallbackSessions = "fallback_sessions",
        /// Webhooks in the queue.
        WebhookQueue = "webhook_queue",
    }
}

label_set! {
    /// A route of the public port, whatever names are in its path.
    Endpoint: "endpoint" {
        /// `POST /apps/{id}/events`.
        Events = "events",
        /// `POST /apps/{id}/batch_events`.
        BatchEvents = "batch_events",
        /// `GET /apps/{id}/channels`.
        Channels = "channels",
        /// `GET /apps/{id}/channels/{name}`.
        Channel = "channel",
        /// `GET /apps/{id}/channels/{name}/users`.
        ChannelUsers = "channel_users",
        /// `POST /apps/{id}/users/{user}/terminate_connections`.
        TerminateConnections = "terminate_connections",
        /// `GET /apps/{id}/channels/{name}/stats`, deprecated by Pusher.
        ChannelStats = "channel_stats",
        /// `POST /apps/{id}/channels/{name}/events`, deprecated by Pusher.
        ChannelEvents = "channel_events",
        /// The upgrade to a WebSocket.
        Upgrade = "upgrade",
        /// The streaming fallback; its time is that to the first byte.
        XhrStreaming = "xhr_streaming",
        /// A poll of the fallback; its time includes the wait for a message.
        Xhr = "xhr",
        /// A message of a fallback client.
        XhrSend = "xhr_send",
        /// A preflight of a browser.
        Preflight = "preflight",
        /// No route.
        Other = "other",
    }
}

code_set! {
    /// The status of an HTTP answer.
    Status: "status" {
        101 200 202 204 301 302 304 400 401 403 404 405 408 411 413 414 415 422 426 429 431 500 501 503
    }
}

label_set! {
    /// How an attempt to deliver a webhook ended.
    AttemptOutcome: "outcome" {
        /// The receiver answered with a 2xx.
        Accepted = "accepted",
        /// The receiver answered with something else.
        Status = "status",
        /// No answer in time.
        Timeout = "timeout",
        /// No connection: refused, reset, no such name, or a failed TLS handshake.
        Connect = "connect",
        /// The address is in a range that the configuration does not allow.
        Forbidden = "forbidden",
    }
}

label_set! {
    /// Why a webhook was given up.
    DeadReason: "reason" {
        /// Retried until its time was over.
        Expired = "expired",
        /// The address is in a range that the configuration does not allow.
        Forbidden = "forbidden",
        /// The queue, or the receiver's share of it, was full.
        QueueFull = "queue_full",
        /// Too many channels and members of its application were announced already.
        AnnouncedFull = "announced_full",
        /// Its endpoint is no longer configured.
        Unconfigured = "unconfigured",
    }
}

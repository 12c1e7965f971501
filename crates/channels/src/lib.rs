//! The Pusher Channels protocol, versions 4 to 7: messages, channel kinds, presence, sign-in, the HTTP API and the
//! HTTP fallback transports.
//!
//! | module | what it is | does I/O |
//! |---|---|---|
//! | [`name`], [`socket_id`], [`close`], [`error`], [`message`], [`presence`], [`user`] | the wire formats, pure | no |
//! | [`service`] | the [`Channels`] service: what all connections share | |
//! | [`connection`] | one client's side of the protocol, whatever carries it | through a [`Sink`](courant_wire::Sink) |
//! | [`lane`] | joins and leaves of a channel, one after the other | through `State` and `Bus` |
//! | [`publish`] | from an accepted event to the bus | through `Bus` |
//! | [`http`] | the HTTP API | axum handlers |
//! | [`fallback`] | `xhr_streaming` and `xhr_polling` | axum handlers |
//!
//! Protocol sources: the Pusher Channels WebSocket protocol, HTTP API, webhooks and auth signature documents, and what
//! the official clients do with what they get.

pub mod close;
pub mod connection;
pub mod error;
pub mod fallback;
pub mod http;
pub mod lane;
pub mod message;
pub mod name;
pub mod presence;
pub mod publish;
pub mod service;
pub mod socket_id;
pub mod timer;
pub mod user;

pub use close::CloseCode;
pub use connection::Connection;
pub use name::{ChannelKind, ChannelName};
pub use service::{Channels, Parts, Settings};
pub use socket_id::SocketId;

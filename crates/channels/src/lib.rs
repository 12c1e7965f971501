//! The Pusher Channels protocol: messages, channel kinds, presence, HTTP API.

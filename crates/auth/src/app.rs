//! An application: who signs for it and what it may do.

use std::time::Duration;

use crate::{AppId, Key, OriginPattern, Secret, WebhookEndpoint};

#[cfg(test)]
mod tests;

/// A tenant of the server, with its own channels, keys, limits and webhooks.
#[derive(Clone, Debug)]
pub struct App {
    /// What it is called in the HTTP API's paths.
    pub id: AppId,
    /// What people call it.
    pub name: Option<String>,
    /// Its key pairs, the oldest first. Several are active while a secret is being replaced.
    pub keys: Vec<KeyPair>,
    /// Whether clients may connect and servers may publish.
    pub enabled: bool,
    /// Whether clients must come over TLS.
    pub tls_required: bool,
    /// Whether clients may send `client-` events.
    pub client_events: bool,
    /// Whether subscribers are told how many they are.
    pub subscription_counting: bool,
    /// Whether a signed-in user is told who of the users they watch is online.
    pub watchlist: bool,
    /// How long a connection may do neither: sign in, or subscribe to a private or presence channel. `None`: for ever.
    pub authorized_connections: Option<Duration>,
    /// Which web pages may connect; empty: all.
    pub allowed_origins: Vec<OriginPattern>,
    /// How much of everything.
    pub limits: AppLimits,
    /// Who is told about what happens in its channels.
    pub webhooks: Vec<WebhookEndpoint>,
}

/// A key and its secret.
#[derive(Clone, Debug)]
pub struct KeyPair {
    /// The public half.
    pub key: Key,
    /// The private half.
    pub secret: Secret,
    /// A disabled pair is as if it were not there.
    pub disabled: bool,
}

/// How much an application may use. The defaults are the limits of Pusher Channels, where it documents one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppLimits {
    /// Connections at one time; `None`: as many as the server takes.
    pub connections_max: Option<u64>,
    /// Bytes of an event's `data`.
    pub event_bytes_max: usize,
    /// Events in a batch.
    pub batch_max: usize,
    /// Channels of one publish.
    pub channels_per_publish_max: usize,
    /// Users in a presence channel.
    pub members_max: usize,
    /// Bytes of a member's `channel_data`.
    pub member_bytes_max: usize,
    /// Client events of one connection in a second.
    pub client_events_per_second: u32,
    /// Bytes of a channel's name. Pusher documents 164 and its SDKs send up to 200.
    pub channel_name_bytes_max: usize,
    /// Bytes of an event's name.
    pub event_name_bytes_max: usize,
    /// Channels that one connection subscribes to.
    pub channels_per_connection_max: usize,
    /// Users that one user watches.
    pub watchlist_max: usize,
    /// How long the last event of a cache channel is kept.
    pub cache_ttl: Duration,
    /// Bytes of a signed-in user's id.
    pub user_id_bytes_max: usize,
    /// Bytes of a presence member's id.
    pub member_id_bytes_max: usize,
}

// === impl App ===

impl App {
    /// An enabled application with the default limits and nothing optional switched on.
    pub fn new(id: AppId, keys: Vec<KeyPair>) -> Self {
        Self {
            id,
            name: None,
            keys,
            enabled: true,
            tls_required: false,
            client_events: false,
            subscription_counting: false,
            watchlist: false,
            authorized_connections: None,
            allowed_origins: Vec::new(),
            limits: AppLimits::default(),
            webhooks: Vec::new(),
        }
    }

    /// The active pair of a key.
    pub fn key_pair(&self, key: &str) -> Option<&KeyPair> {
        self.active_keys().find(|pair| pair.key.as_str() == key)
    }

    /// The pair that signs webhooks: the oldest active one (Pusher's rule).
    pub fn webhook_key_pair(&self) -> Option<&KeyPair> {
        self.active_keys().next()
    }

    /// Whether a web page of this origin may connect.
    ///
    /// Programs that are no browser send no `Origin`; they are allowed, because nothing in this protocol is
    /// authorised by what a browser adds on its own (cookies).
    pub fn allows_origin(&self, origin: Option<&str>) -> bool {
        match origin {
            Some(origin) if !self.allowed_origins.is_empty() => {
                self.allowed_origins.iter().any(|pattern| pattern.matches(origin))
            }
            _ => true,
        }
    }

    fn active_keys(&self) -> impl Iterator<Item = &KeyPair> {
        self.keys.iter().filter(|pair| !pair.disabled)
    }
}

// === impl KeyPair ===

impl KeyPair {
    /// An active pair.
    pub fn new(key: Key, secret: Secret) -> Self {
        Self { key, secret, disabled: false }
    }
}

// === impl AppLimits ===

impl Default for AppLimits {
    fn default() -> Self {
        Self {
            connections_max: None,
            event_bytes_max: 10 * 1024,
            batch_max: 10,
            channels_per_publish_max: 100,
            members_max: 100,
            member_bytes_max: 1024,
            client_events_per_second: 10,
            channel_name_bytes_max: 200,
            event_name_bytes_max: 200,
            channels_per_connection_max: 1000,
            watchlist_max: 100,
            cache_ttl: Duration::from_secs(30 * 60),
            user_id_bytes_max: 200,
            member_id_bytes_max: 128,
        }
    }
}

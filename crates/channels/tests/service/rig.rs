//! A service, and clients of it.

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use courant_auth::{App, AppId, Apps, Key, KeyPair, Secret, signature};
use courant_channels::connection::{Hello, Peer};
use courant_channels::{Channels, Connection, Parts, Settings};
use courant_cluster::{ChannelKey, Member, MemoryBus, MemoryState, State};
use courant_hub::{Hub, HubSettings};
use courant_telemetry::Metrics;
use courant_telemetry::metrics::labels::Transport;
use courant_wire::{Closed, Frame, Handler as _, Pushed, Sink, Step, Tick, Wheel};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::Notify;

pub const APP_ID: &str = "1001";
pub const KEY: &str = "app-key";
const SECRET: &str = "app-secret";

/// How long anything may take before a test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running service.
pub struct Rig {
    pub channels: Arc<Channels>,
    pub state: Arc<MemoryState>,
    pub wheel: Arc<Wheel>,
}

/// A connection and what it was sent.
pub struct Client {
    pub connection: Connection,
    pub peer: Arc<Recorder>,
    pub socket_id: String,
}

/// A client's outgoing side: keeps everything.
pub struct Recorder {
    received: Mutex<Received>,
    grown: Notify,
    last_inbound: AtomicU32,
}

#[derive(Default)]
struct Received {
    messages: Vec<Value>,
    closed: Option<(u16, String)>,
}

/// The application of all tests, with everything optional switched on.
pub fn app() -> App {
    let pair = KeyPair::new(Key::new(KEY).unwrap(), Secret::new(SECRET).unwrap());
    let mut app = App::new(AppId::new(APP_ID).unwrap(), vec![pair]);
    app.client_events = true;
    app.subscription_counting = true;
    app.watchlist = true;
    app
}

/// Settings that are in nobody's way.
pub fn settings() -> Settings {
    let many = NonZeroU32::new(1_000_000).unwrap();
    Settings {
        activity_timeout: Duration::from_secs(120),
        ping_interval: Duration::from_secs(30),
        pong_timeout: Duration::from_secs(30),
        idle_max: Duration::from_secs(24 * 60 * 60),
        messages_per_second: many,
        messages_burst: many,
        channels_per_connection_max: 1000,
        require_protocol_parameter: false,
        strict_errors: true,
        path_prefix: String::new(),
        http_sessions_max: 100,
        queue_bytes_max: 1024 * 1024,
        request_body_bytes_max: 1024 * 1024,
        request_body_timeout: Duration::from_secs(10),
        message_bytes_max: 64 * 1024,
    }
}

impl Rig {
    pub fn start(app: App, settings: Settings) -> Self {
        let hub = Hub::start(HubSettings::default(), Arc::new(()));
        let (state, wheel) = (Arc::new(MemoryState::default()), Arc::new(Wheel::new(64)));
        let parts = Parts {
            addresses: unlimited_addresses(),
            apps: Arc::new(Apps::new(vec![app]).unwrap()),
            bus: Arc::new(MemoryBus::new(hub.clone(), PATIENCE)),
            hub,
            state: state.clone(),
            webhooks: None,
            metrics: Metrics::new(),
            wheel: wheel.clone(),
        };
        Self { channels: Channels::start(parts, settings), state, wheel }
    }

    /// Connects.
    pub async fn connect(&self, protocol: &str) -> Client {
        let peer = Arc::new(Recorder {
            received: Mutex::default(),
            grown: Notify::new(),
            last_inbound: AtomicU32::new(Tick::now().0),
        });
        let hello = Hello {
            key: KEY,
            protocol: Some(protocol),
            version: None,
            origin: None,
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            transport: Transport::WebSocket,
            tls: false,
        };
        let connection = self.channels.open(&hello, peer.clone()).await.unwrap();
        let socket_id = connection.id().to_string();
        Client { connection, peer, socket_id }
    }

    /// Who is in a presence channel.
    pub async fn members(&self, channel: &str) -> Vec<Member> {
        let key = ChannelKey { app: APP_ID.into(), channel: channel.into() };
        self.state.members(&key).await.unwrap()
    }
}

impl Client {
    /// Sends a message and waits until it is handled.
    pub async fn send(&mut self, message: &Value) {
        self.peer.heard();
        if let Step::Pending(step) = self.connection.text(&message.to_string()) {
            step.await;
        }
    }

    /// Sends a message, and forgets about it when it first has to wait: the connection broke.
    pub async fn send_and_break(&mut self, message: &Value) {
        if let Step::Pending(step) = self.connection.text(&message.to_string()) {
            tokio::select! {
                biased;
                () = step => {}
                () = std::future::ready(()) => {}
            }
        }
    }

    /// `pusher:subscribe` for a channel, signed.
    pub fn subscription(&self, channel: &str, channel_data: Option<&str>) -> Value {
        let secret = Secret::new(SECRET).unwrap();
        let auth = signature::channel_auth(&secret, &self.socket_id, channel, channel_data);
        let data = json!({"channel": channel, "auth": format!("{KEY}:{auth}"), "channel_data": channel_data});
        json!({"event": "pusher:subscribe", "data": data})
    }

    /// `pusher:subscribe` as a user.
    pub fn membership(&self, channel: &str, user_id: &str) -> Value {
        self.subscription(channel, Some(&json!({"user_id": user_id}).to_string()))
    }

    /// `pusher:signin`, signed.
    pub fn sign_in(&self, user_data: &Value) -> Value {
        let (secret, user_data) = (Secret::new(SECRET).unwrap(), user_data.to_string());
        let auth = signature::user_auth(&secret, &self.socket_id, &user_data);
        json!({"event": "pusher:signin", "data": {"auth": format!("{KEY}:{auth}"), "user_data": user_data}})
    }

    /// The stream breaks.
    pub async fn close(self) {
        self.connection.close(Closed::Dropped).await;
    }
}

/// `pusher:unsubscribe`.
pub fn unsubscription(channel: &str) -> Value {
    json!({"event": "pusher:unsubscribe", "data": {"channel": channel}})
}

/// The data of an event.
pub fn data(message: &Value) -> Value {
    serde_json::from_str(message["data"].as_str().unwrap()).unwrap()
}

impl Recorder {
    /// The client sent something.
    pub fn heard(&self) {
        self.last_inbound.store(Tick::now().0, Ordering::Relaxed);
    }

    /// Everything that it was sent so far.
    pub fn messages(&self) -> Vec<Value> {
        self.received.lock().messages.clone()
    }

    /// How often it was sent an event of this name.
    pub fn count(&self, event: &str) -> usize {
        self.received.lock().messages.iter().filter(|message| message["event"] == event).count()
    }

    /// How it was closed, if it was.
    pub fn closed(&self) -> Option<(u16, String)> {
        self.received.lock().closed.clone()
    }

    /// Waits until it was sent something that matches; answers everything up to it.
    pub async fn until(&self, what: &str, matches: impl Fn(&Value) -> bool) -> Vec<Value> {
        let found = async {
            loop {
                let grown = self.grown.notified();
                {
                    let received = self.received.lock();
                    if let Some(at) = received.messages.iter().position(&matches) {
                        return received.messages[..=at].to_vec();
                    }
                }
                grown.await;
            }
        };
        match tokio::time::timeout(PATIENCE, found).await {
            Ok(messages) => messages,
            Err(_) => panic!("{what} did not come; there was {:?}", self.messages()),
        }
    }
}

impl Sink for Recorder {
    fn push(&self, frame: &Frame) -> Pushed {
        let mut received = self.received.lock();
        if received.closed.is_some() {
            return Pushed::Closed;
        }
        received.messages.push(serde_json::from_slice(&frame.payload()).unwrap());
        Pushed::Queued
    }

    fn flush(&self) {
        self.grown.notify_waiters();
    }

    fn close(&self, code: u16, reason: &str) {
        self.received.lock().closed.get_or_insert_with(|| (code, reason.to_owned()));
        self.grown.notify_waiters();
    }
}

impl Peer for Recorder {
    fn last_inbound(&self) -> Tick {
        Tick(self.last_inbound.load(Ordering::Relaxed))
    }
}

/// Nobody has an address here.
fn unlimited_addresses() -> courant_auth::limits::Addresses {
    use courant_auth::limits::{AddressLimits, Addresses, Quota};
    let many = std::num::NonZeroU32::MAX;
    Addresses::new(AddressLimits {
        connections_max: many,
        connection_rate: Quota::per_second(many, many),
        exempt: courant_auth::Networks::new(Vec::new()),
        addresses_max: std::num::NonZeroUsize::MIN,
    })
}

//! What all connections and requests share.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use courant_auth::limits::{Addresses, Quota};
use courant_auth::{App, Apps};
use courant_cluster::{Bus, ChannelKey, State, Topic};
use courant_hub::Hub;
use courant_telemetry::metrics::{IntGauge, labels::Transport};
use courant_telemetry::{Metrics, RecentClients};
use courant_webhooks::Webhooks;
use courant_wire::{Sink, Wheel};
use parking_lot::Mutex;

use crate::SocketId;
use crate::lane::Lanes;
use crate::name::ChannelName;

/// The parts that the service is put together from.
pub struct Parts {
    /// Who may connect.
    pub apps: Arc<Apps>,
    /// How many connections addresses have: the sessions of the HTTP fallback count too.
    pub addresses: Addresses,
    /// Local fan-out.
    pub hub: Arc<Hub>,
    /// Messages to all gateways.
    pub bus: Arc<dyn Bus>,
    /// Presence and occupancy.
    pub state: Arc<dyn State>,
    /// Outgoing webhooks; `None` where no application has any.
    pub webhooks: Option<Arc<Webhooks>>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Pings and deadlines.
    pub wheel: Arc<Wheel>,
}

/// How the protocol is served; each has a setting of the same name.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The silence after which clients are told to ping.
    pub activity_timeout: Duration,
    /// The silence after which the server pings.
    pub ping_interval: Duration,
    /// How long a client may take to answer a ping.
    pub pong_timeout: Duration,
    /// The silence after which a client without pings (protocol 4) is closed.
    pub idle_max: Duration,
    /// Messages per second of a connection, in the long run.
    pub messages_per_second: NonZeroU32,
    /// Messages that a connection may send at once.
    pub messages_burst: NonZeroU32,
    /// Channels of a connection; an application may allow fewer.
    pub channels_per_connection_max: usize,
    /// Close connections that name no protocol version (4008) instead of taking them for version 7.
    pub require_protocol_parameter: bool,
    /// Answer failed subscriptions with `pusher:error` alone, as the real service does.
    pub strict_errors: bool,
    /// A prefix of all paths, `""` or like `/realtime`.
    pub path_prefix: String,
    /// Sessions of the HTTP fallback.
    pub http_sessions_max: usize,
    /// Bytes that may be queued to a session of the HTTP fallback.
    pub queue_bytes_max: usize,
    /// Bytes of the body of a request.
    pub request_body_bytes_max: usize,
    /// Time to send the body of a request.
    pub request_body_timeout: Duration,
    /// Bytes of one message of a client.
    pub message_bytes_max: usize,
}

/// The Channels service.
pub struct Channels {
    pub(crate) settings: Settings,
    pub(crate) apps: Arc<Apps>,
    pub(crate) addresses: Addresses,
    pub(crate) hub: Arc<Hub>,
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) state: Arc<dyn State>,
    pub(crate) webhooks: Option<Arc<Webhooks>>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) wheel: Arc<Wheel>,
    pub(crate) lanes: Lanes,
    pub(crate) message_quota: Quota,
    pub(crate) recent: RecentClients,
    pub(crate) connections: Registry,
    pub(crate) fallback: crate::fallback::Sessions,
    draining: AtomicBool,
    tenants: HashMap<Arc<str>, Arc<Tenant>>,
}

/// An application, with what is kept for it while the server runs.
pub struct Tenant {
    /// The application.
    pub app: Arc<App>,
    pub(crate) client_event_quota: Quota,
    connections: [IntGauge; 3],
}

impl Tenant {
    fn new(app: Arc<App>, metrics: &Metrics) -> Self {
        let rate = NonZeroU32::new(app.limits.client_events_per_second).unwrap_or(NonZeroU32::MIN);
        let gauge = |transport| metrics.connections.of(app.id.as_str(), transport);
        let connections =
            [gauge(Transport::WebSocket), gauge(Transport::XhrStreaming), gauge(Transport::XhrPolling)];
        Self { client_event_quota: Quota::per_second(rate, rate), connections, app }
    }

    pub(crate) fn connections(&self, transport: Transport) -> &IntGauge {
        match transport {
            Transport::WebSocket => &self.connections[0],
            Transport::XhrStreaming => &self.connections[1],
            Transport::XhrPolling => &self.connections[2],
        }
    }
}

impl Channels {
    /// Starts the service on the current runtime.
    pub fn start(parts: Parts, settings: Settings) -> Arc<Self> {
        let Parts { apps, addresses, hub, bus, state, webhooks, metrics, wheel } = parts;
        let tenants =
            apps.iter().map(|app| (app.id.shared(), Arc::new(Tenant::new(app.clone(), &metrics)))).collect();
        let lanes = Lanes::start(hub.clone(), bus.clone(), state.clone(), webhooks.clone(), metrics.clone());
        let message_quota = Quota::per_second(settings.messages_per_second, settings.messages_burst);
        let recent = RecentClients::new(Instant::now());
        let fallback = crate::fallback::Sessions::new(settings.http_sessions_max);
        Arc::new(Self {
            settings,
            apps,
            addresses,
            hub,
            bus,
            state,
            webhooks,
            metrics,
            wheel,
            lanes,
            message_quota,
            recent,
            connections: Registry::default(),
            fallback,
            draining: AtomicBool::new(false),
            tenants,
        })
    }

    /// The application of an id.
    pub(crate) fn tenant(&self, app: &App) -> Option<&Arc<Tenant>> {
        self.tenants.get(app.id.as_str())
    }

    /// Whether new connections are to go elsewhere.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// From now on new connections are to go elsewhere: new sessions of the HTTP fallback are refused. Who accepts
    /// WebSockets refuses these. Answers whether that is new.
    pub fn begin_draining(&self) -> bool {
        self.metrics.draining.set(1);
        !self.draining.swap(true, Ordering::Relaxed)
    }

    /// The connections that are open, for a drain.
    pub fn connections(&self) -> &Registry {
        &self.connections
    }

    /// Outgoing webhooks, where there are any.
    pub fn webhooks(&self) -> Option<&Webhooks> {
        self.webhooks.as_deref()
    }

    /// What is counted.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }
}

/// All open connections of this gateway.
#[derive(Default)]
pub struct Registry {
    shards: [Mutex<HashMap<SocketId, Weak<dyn Sink>>>; 32],
}

impl Registry {
    pub(crate) fn insert(&self, id: SocketId, sink: Weak<dyn Sink>) {
        self.shard(id).lock().insert(id, sink);
    }

    pub(crate) fn remove(&self, id: SocketId) {
        let mut shard = self.shard(id).lock();
        shard.remove(&id);
        if shard.capacity() > 64 && shard.len() * 4 < shard.capacity() {
            shard.shrink_to_fit();
        }
    }

    /// How many are open.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }

    /// Whether none is open.
    pub fn is_empty(&self) -> bool {
        self.shards.iter().all(|shard| shard.lock().is_empty())
    }

    /// The ids of all that are open now.
    pub fn ids(&self) -> Vec<SocketId> {
        let mut ids = Vec::with_capacity(self.len());
        for shard in &self.shards {
            ids.extend(shard.lock().keys());
        }
        ids
    }

    /// Takes a connection that is to be closed out of the registry; what is left are those that were not told yet.
    pub fn take(&self, id: SocketId) -> Option<Arc<dyn Sink>> {
        self.shard(id).lock().remove(&id)?.upgrade()
    }

    fn shard(&self, id: SocketId) -> &Mutex<HashMap<SocketId, Weak<dyn Sink>>> {
        &self.shards[(id.subscriber().low % 32) as usize]
    }
}

/// The topic of a channel's events. The id of an application holds no slash.
pub(crate) fn channel_topic(app: &str, channel: &str) -> Topic {
    Topic::new(format!("c/{app}/{channel}"))
}

/// The topic that closes the connections of a signed-in user.
pub(crate) fn user_topic(app: &str, user_id: &str) -> Topic {
    Topic::new(format!("u/{app}/{user_id}"))
}

/// The topic of a user's coming online and going offline.
pub(crate) fn watch_topic(app: &str, user_id: &str) -> Topic {
    Topic::new(format!("w/{app}/{user_id}"))
}

pub(crate) fn channel_key(app: &str, channel: &ChannelName) -> ChannelKey {
    ChannelKey { app: app.into(), channel: channel.shared().clone() }
}

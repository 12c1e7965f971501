//! How a connection begins, or is refused.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use courant_auth::limits::RateLimiter;
use courant_auth::signature::http::Query;
use courant_cluster::StateError;
use courant_telemetry::metrics::labels::{Limit, RejectReason, Transport};
use courant_wire::Timed;
use tracing::debug;

use super::{Connection, Peer, Subscriptions};
use crate::close::Refusal;
use crate::message::ServerEvent;
use crate::service::{Channels, Tenant};
use crate::timer::ConnectionTimer;
use crate::{CloseCode, SocketId};

/// The protocol versions that are served. 1 to 3 wrapped their data in another way; 4 differs from 5 only in having no
/// pings.
const PROTOCOLS: std::ops::RangeInclusive<u8> = 4..=7;

/// What a client says of itself in the query of the path it connects to.
#[derive(Clone, Debug, Default)]
pub struct Parameters {
    /// The protocol version.
    pub protocol: Option<String>,
    /// The client library's version.
    pub version: Option<String>,
}

impl Parameters {
    /// Reads a query. Whatever a client puts into it, the client is to be answered in the protocol.
    pub fn parse(query: Option<&str>) -> Self {
        let query = Query::parse(query.unwrap_or_default());
        let given = |name| query.get(name).map(str::to_owned);
        Self { protocol: given("protocol"), version: given("version") }
    }
}

/// What a client says of itself when it connects.
#[derive(Clone, Debug)]
pub struct Hello<'a> {
    /// The application's key, from the path.
    pub key: &'a str,
    /// The `protocol` parameter.
    pub protocol: Option<&'a str>,
    /// The `version` parameter: the client library's.
    pub version: Option<&'a str>,
    /// The `Origin` header.
    pub origin: Option<&'a str>,
    /// The client's address, as far as it is known.
    pub address: IpAddr,
    /// What carries the connection.
    pub transport: Transport,
    /// Whether it came over TLS.
    pub tls: bool,
}

impl Channels {
    /// Opens a connection: it has been told its id when this returns.
    ///
    /// # Errors
    /// The client may not connect; it was told why and is being closed.
    pub async fn open(
        self: &Arc<Self>,
        hello: &Hello<'_>,
        peer: Arc<dyn Peer>,
    ) -> Result<Connection, Refusal> {
        match self.admit(hello, peer.clone()).await {
            Ok(connection) => Ok(connection),
            Err((refusal, reason)) => {
                self.metrics.connections_rejected.of(reason).inc();
                self.refuse(&*peer, &refusal);
                debug!(key = hello.key, address = %hello.address, ?refusal, "connection refused");
                Err(refusal)
            }
        }
    }

    /// Tells a client why it can't stay, as an event (which is all that clients of old read) and as a close.
    pub fn refuse(&self, peer: &dyn Peer, refusal: &Refusal) {
        let code = Some(refusal.code.code());
        let _ = peer.push(&ServerEvent::Error { code, message: &refusal.message }.frame());
        peer.flush();
        peer.close(refusal.code.code(), &refusal.message);
    }

    /// What can be said of a client without asking anybody.
    pub(crate) fn check(&self, hello: &Hello<'_>) -> Result<(u8, Arc<Tenant>), (Refusal, RejectReason)> {
        Ok((self.protocol(hello)?, self.tenant_for(hello)?))
    }

    async fn admit(
        self: &Arc<Self>,
        hello: &Hello<'_>,
        peer: Arc<dyn Peer>,
    ) -> Result<Connection, (Refusal, RejectReason)> {
        let (protocol, tenant) = self.check(hello)?;
        let id = SocketId::random();
        let app = &tenant.app;
        let connections_max = app.limits.connections_max;
        self.state.connect(app.id.as_str(), id.subscriber(), connections_max).await.map_err(|error| {
            match error {
                StateError::ConnectionsFull { connections_max } => {
                    self.metrics.limit_hits.of(Limit::ConnectionsPerApp).inc();
                    let message = format!("Application is over its quota of {connections_max} connections");
                    (Refusal::new(CloseCode::OverConnectionQuota, message), RejectReason::ConnectionsPerApp)
                }
                _ => (
                    Refusal::new(CloseCode::OverCapacity, "The server can't take connections at the moment"),
                    RejectReason::Overloaded,
                ),
            }
        })?;
        Ok(self.established(hello, peer, tenant, id, protocol))
    }

    fn established(
        self: &Arc<Self>,
        hello: &Hello<'_>,
        peer: Arc<dyn Peer>,
        tenant: Arc<Tenant>,
        id: SocketId,
        protocol: u8,
    ) -> Connection {
        let authorize_within = tenant.app.authorized_connections;
        let timer = Arc::new(ConnectionTimer::new(self.clone(), peer.clone(), protocol, authorize_within));
        let timed: Arc<dyn Timed> = timer.clone();
        self.wheel.insert(Arc::downgrade(&timed), timer.first());
        let sink: Arc<dyn courant_wire::Sink> = peer.clone();
        self.connections.insert(id, Arc::downgrade(&sink));
        self.metrics.connections_accepted.of(hello.transport).inc();
        tenant.connections(hello.transport).inc();
        if self.recent.was_here(hello.address, tenant.app.id.as_str(), Instant::now()) {
            self.metrics.reconnections.inc();
        }
        let connection = Connection {
            channels: self.clone(),
            tenant,
            id,
            peer,
            timer,
            address: hello.address,
            transport: hello.transport,
            subscriptions: Subscriptions::default(),
            joining: None,
            signed_in: None,
            message_rate: RateLimiter::default(),
            client_event_rate: RateLimiter::default(),
        };
        let activity_timeout_s = self.settings.activity_timeout.as_secs().max(1);
        let socket_id = id.to_string();
        connection
            .send(&ServerEvent::ConnectionEstablished { socket_id: &socket_id, activity_timeout_s }.frame());
        debug!(%socket_id, address = %hello.address, "connection established");
        connection
    }

    fn protocol(&self, hello: &Hello<'_>) -> Result<u8, (Refusal, RejectReason)> {
        let refuse =
            |code, message: String| Err((Refusal::new(code, message), RejectReason::ProtocolVersion));
        if let Some(version) = hello.version
            && !is_version(version)
        {
            return refuse(CloseCode::InvalidVersion, "Invalid version string format".into());
        }
        match hello.protocol {
            None if self.settings.require_protocol_parameter => {
                refuse(CloseCode::NoProtocol, "No protocol version supplied".into())
            }
            None => Ok(7),
            Some(text) => match text.parse() {
                Ok(protocol) if PROTOCOLS.contains(&protocol) => Ok(protocol),
                _ => refuse(
                    CloseCode::UnsupportedProtocol,
                    "Unsupported protocol version, 4 to 7 are supported".into(),
                ),
            },
        }
    }

    fn tenant_for(&self, hello: &Hello<'_>) -> Result<Arc<Tenant>, (Refusal, RejectReason)> {
        let unknown = || {
            let message =
                format!("App key {} not in this cluster. Did you forget to specify the cluster?", hello.key);
            (Refusal::new(CloseCode::UnknownApp, message), RejectReason::UnknownApp)
        };
        let (app, _) = self.apps.by_key(hello.key).ok_or_else(unknown)?;
        let tenant = self.tenant(app).cloned().ok_or_else(unknown)?;
        if !app.enabled {
            let refusal = Refusal::new(CloseCode::AppDisabled, "Application is disabled");
            return Err((refusal, RejectReason::AppDisabled));
        }
        if app.tls_required && !hello.tls {
            let refusal = Refusal::new(CloseCode::TlsRequired, "Application only accepts TLS connections");
            return Err((refusal, RejectReason::TlsRequired));
        }
        if !app.allows_origin(hello.origin) {
            let refusal = Refusal::new(CloseCode::Unauthorized, "Origin not allowed");
            return Err((refusal, RejectReason::Origin));
        }
        Ok(tenant)
    }
}

/// Whether a text can be a client library's version: `8.6.0`, `2.4.4-beta+1`.
fn is_version(text: &str) -> bool {
    text.len() <= 64
        && text.bytes().any(|byte| byte.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._+-".contains(&byte))
}

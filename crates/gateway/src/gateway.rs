//! What the listeners and handlers share.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use courant_auth::limits::{AddressGuard, AddressRefused, Addresses};
use courant_auth::{Networks, client_address};
use courant_channels::Channels;
use courant_telemetry::Metrics;
use courant_telemetry::metrics::labels::{Limit, RejectReason};
use courant_wire::Context;
use http::{HeaderMap, HeaderValue, header};
use parking_lot::Mutex;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::task::TaskTracker;

/// A running gateway.
pub struct Gateway {
    /// The Pusher protocol.
    pub channels: Arc<Channels>,
    /// The bounds of WebSockets.
    pub context: Arc<Context>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// How many connections addresses have.
    pub addresses: Addresses,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Networks,
    /// Answer errors of the HTTP API in JSON to who accepts it.
    pub json_errors: bool,
    /// Every connection's task.
    pub tasks: TaskTracker,
}

/// What a TCP connection holds for as long as it lives, whatever it turns into.
pub struct Admission {
    /// The TCP peer, or whom its PROXY header names.
    pub peer: IpAddr,
    /// Whether it came over TLS.
    pub tls: bool,
    /// The place among all connections.
    _place: OwnedSemaphorePermit,
    /// The place among those of its address; behind a proxy it is taken when the client's address is known.
    guard: Mutex<Option<AddressGuard>>,
}

impl Gateway {
    /// Puts the parts together.
    pub fn new(
        channels: Arc<Channels>,
        context: Arc<Context>,
        metrics: Arc<Metrics>,
        addresses: Addresses,
        trusted_proxies: Networks,
        json_errors: bool,
    ) -> Self {
        let tasks = TaskTracker::new();
        Self { channels, context, metrics, addresses, trusted_proxies, json_errors, tasks }
    }

    /// Whether new connections are to go elsewhere.
    pub fn is_draining(&self) -> bool {
        self.channels.is_draining()
    }

    /// From now on new connections are to go elsewhere. Answers whether that is new.
    pub fn begin_draining(&self) -> bool {
        self.channels.begin_draining()
    }

    /// Lets a TCP connection in, unless its address has too many or opens them too fast.
    ///
    /// # Errors
    /// It has; it is counted.
    pub fn admit(
        &self,
        peer: IpAddr,
        tls: bool,
        place: OwnedSemaphorePermit,
    ) -> Result<Admission, AddressRefused> {
        let guard = if self.trusted_proxies.contains(peer) { None } else { Some(self.admit_address(peer)?) };
        Ok(Admission { peer, tls, _place: place, guard: Mutex::new(guard) })
    }

    /// The client's address for a request on a connection.
    pub fn client_of(&self, admission: &Admission, headers: &HeaderMap) -> IpAddr {
        let forwarded_for = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
        let forwarded_for: Vec<&str> = forwarded_for.collect();
        client_address(admission.peer, forwarded_for.into_iter(), &self.trusted_proxies)
    }

    /// Whether the client came over TLS: to here, or to the trusted proxy before.
    pub fn is_tls(&self, admission: &Admission, headers: &HeaderMap) -> bool {
        let forwarded = headers.get("x-forwarded-proto").map(HeaderValue::as_bytes);
        let claims_tls = forwarded.is_some_and(|protocol| matches!(protocol, b"https" | b"wss"));
        admission.tls || (claims_tls && self.trusted_proxies.contains(admission.peer))
    }

    /// Counts a connection that came through a trusted proxy for its client's address.
    ///
    /// # Errors
    /// The address has too many, or opens them too fast; it is counted.
    pub fn admit_forwarded(&self, admission: &Admission, client: IpAddr) -> Result<(), AddressRefused> {
        if client != admission.peer && admission.guard.lock().is_none() {
            let guard = self.admit_address(client)?;
            *admission.guard.lock() = Some(guard);
        }
        Ok(())
    }

    fn admit_address(&self, address: IpAddr) -> Result<AddressGuard, AddressRefused> {
        self.addresses.admit(address, Instant::now()).inspect_err(|refused| {
            let (reason, limit) = match refused {
                AddressRefused::TooMany { .. } => {
                    (RejectReason::ConnectionsPerAddress, Limit::ConnectionsPerAddress)
                }
                AddressRefused::TooFast => (RejectReason::ConnectionRate, Limit::ConnectionRate),
            };
            self.metrics.connections_rejected.of(reason).inc();
            self.metrics.limit_hits.of(limit).inc();
        })
    }
}

/// Whether a request asks for a WebSocket.
pub(crate) fn asks_for_websocket(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::UPGRADE)
        .iter()
        .any(|value| value.as_bytes().to_ascii_lowercase().windows(9).any(|part| part == b"websocket"))
}

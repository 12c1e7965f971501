//! Liveness: pings, and the deadlines of silence and of authorisation.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use courant_telemetry::metrics::labels::Limit;
use courant_wire::{Frame, Sink, Socket, Tick, Timed};

use crate::CloseCode;
use crate::message::ServerEvent;
use crate::service::Channels;

static PING: LazyLock<Frame> = LazyLock::new(|| ServerEvent::Ping.frame());

/// A client's outgoing side, and how long it has been silent.
pub trait Peer: Sink {
    /// Time since the client last sent anything. Exact to about a second.
    fn idle_for(&self) -> Duration;
}

impl Peer for Socket {
    fn idle_for(&self) -> Duration {
        Tick::now().since(self.last_inbound())
    }
}

/// What the timer wheel knows of a connection.
pub(crate) struct ConnectionTimer {
    channels: Arc<Channels>,
    peer: Arc<dyn Peer>,
    opened: Instant,
    /// The client understands `pusher:ping` (protocol 5 and later).
    pings: bool,
    pinged: AtomicBool,
    /// Until when the connection must have shown an authorisation; `None` once it has, or where none is asked for.
    authorize_within: Option<Duration>,
    authorized: AtomicBool,
}

impl ConnectionTimer {
    pub(crate) fn new(
        channels: Arc<Channels>,
        peer: Arc<dyn Peer>,
        protocol: u8,
        authorize_within: Option<Duration>,
    ) -> Self {
        Self {
            channels,
            peer,
            opened: Instant::now(),
            pings: protocol >= 5,
            pinged: AtomicBool::new(false),
            authorize_within,
            authorized: AtomicBool::new(false),
        }
    }

    /// When to look first. The first ping comes at a random time within the second half of the interval, so that clients
    /// that came together, after a deploy for instance, are not pinged together for ever.
    pub(crate) fn first(&self) -> Duration {
        let interval = self.silence_max();
        let first = interval / 2 + interval.mul_f64(rand::random_range(0.0..0.5));
        self.authorize_within.map_or(first, |within| within.min(first))
    }

    /// The connection signed in, or subscribed to a channel that needs a signature.
    pub(crate) fn authorized(&self) {
        self.authorized.store(true, Ordering::Relaxed);
    }

    fn silence_max(&self) -> Duration {
        if self.pings { self.channels.settings.ping_interval } else { self.channels.settings.idle_max }
    }

    /// Time until the authorisation is due, if it still is; `Err` when it is overdue.
    fn authorization_left(&self) -> Result<Option<Duration>, ()> {
        let Some(within) = self.authorize_within else { return Ok(None) };
        if self.authorized.load(Ordering::Relaxed) {
            return Ok(None);
        }
        match within.checked_sub(self.opened.elapsed()) {
            Some(left) if !left.is_zero() => Ok(Some(left)),
            _ => Err(()),
        }
    }

    fn close(&self, code: CloseCode, limit: Limit, reason: &str) -> Option<Duration> {
        self.channels.metrics.limit_hits.of(limit).inc();
        self.peer.close(code.code(), reason);
        None
    }

    /// Time until the silence is worth another look.
    fn check_silence(&self) -> Option<Duration> {
        let (idle, silence_max) = (self.peer.idle_for(), self.silence_max());
        if idle < silence_max {
            self.pinged.store(false, Ordering::Relaxed);
            return Some(silence_max - idle);
        }
        if !self.pings {
            return self.close(CloseCode::Inactive, Limit::PongTime, "closed after inactivity");
        }
        let overdue = idle.checked_sub(silence_max + self.channels.settings.pong_timeout);
        if self.pinged.swap(true, Ordering::Relaxed) {
            if overdue.is_some() {
                return self.close(
                    CloseCode::PongMissing,
                    Limit::PongTime,
                    "pong reply not received in time",
                );
            }
            return Some(silence_max + self.channels.settings.pong_timeout - idle);
        }
        let _ = self.peer.push(&PING);
        self.peer.flush();
        Some(self.channels.settings.pong_timeout)
    }
}

impl Timed for ConnectionTimer {
    fn fire(&self, _now: Tick) -> Option<Duration> {
        match self.authorization_left() {
            Err(()) => {
                let reason = "connection did not authorise in time";
                self.close(CloseCode::Unauthorized, Limit::AuthenticationTime, reason)
            }
            Ok(left) => {
                let next = self.check_silence()?;
                Some(left.map_or(next, |left| left.min(next)))
            }
        }
    }
}

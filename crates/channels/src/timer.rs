//! Liveness: pings, and the deadlines of silence and of authorisation.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use courant_telemetry::metrics::labels::Limit;
use courant_wire::{Frame, Sink, Socket, Tick, Timed};
use tokio::time::Instant;

use crate::CloseCode;
use crate::message::ServerEvent;
use crate::service::Channels;

static PING: LazyLock<Frame> = LazyLock::new(|| ServerEvent::Ping.frame());

/// A client's outgoing side, and how long it has been silent.
pub trait Peer: Sink {
    /// When the client last sent anything.
    fn last_inbound(&self) -> Tick;
}

impl Peer for Socket {
    fn last_inbound(&self) -> Tick {
        self.last_inbound()
    }
}

/// What the timer wheel knows of a connection.
pub(crate) struct ConnectionTimer {
    channels: Arc<Channels>,
    peer: Arc<dyn Peer>,
    opened: Instant,
    /// The client understands `pusher:ping` (protocol 5 and later).
    pings: bool,
    /// The [`Tick`] of the last ping; 0 before the first.
    pinged_at: AtomicU32,
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
            pinged_at: AtomicU32::new(0),
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
        let (now, last_inbound, silence_max) = (Tick::now(), self.peer.last_inbound(), self.silence_max());
        let idle = now.since(last_inbound);
        if idle < silence_max {
            return Some(silence_max - idle);
        }
        if !self.pings {
            return self.close(CloseCode::Inactive, Limit::PongTime, "closed after inactivity");
        }
        let pong_timeout = self.channels.settings.pong_timeout;
        let pinged_at = Tick(self.pinged_at.load(Ordering::Relaxed));
        // A ping goes out at least a second after the last message. So whatever came in the same second came after it, and
        // is an answer, however long ago it is by now.
        if pinged_at > last_inbound {
            let waited = now.since(pinged_at);
            if waited < pong_timeout {
                return Some(pong_timeout - waited);
            }
            let reason = "pong reply not received in time";
            return self.close(CloseCode::PongMissing, Limit::PongTime, reason);
        }
        self.pinged_at.store(now.0, Ordering::Relaxed);
        let _ = self.peer.push(&PING);
        self.peer.flush();
        Some(pong_timeout)
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

//! The graceful stop: not ready, then no upgrades, then closes spread over a time.
//!
//! pusher-js comes back after a 42xx at once and without jitter, so if all were closed together they would all arrive
//! at the other gateways together, and at the application's authorisation endpoint right after. The pace is decided by
//! [`courant_drain`].

use std::sync::Arc;
use std::time::Instant;

use courant_channels::CloseCode;
use courant_drain::{Pacer, Step, random_order};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::info;

use crate::config::Drain;
use crate::gateway::Gateway;

/// The signals that stop a server.
pub struct Stops {
    terminate: Signal,
    interrupt: Signal,
}

impl Stops {
    /// From here on the signals are caught.
    ///
    /// # Errors
    /// The system refuses.
    pub fn catch() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for the next one, and answers its name.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// Closes all connections at an even pace, in random order. Returns when none is left, or at the deadline.
pub async fn drain(gateway: &Arc<Gateway>, settings: &Drain) {
    gateway.begin_draining();
    let connections = gateway.channels.connections();
    let (begun, total) = (Instant::now(), connections.len());
    info!(connections = total, duration = ?settings.duration, "draining");
    let mut pacer = Pacer::new(total, settings.duration, settings.deadline, rand::random());
    let mut order = Vec::new();
    loop {
        // Clients leave by themselves too, and handshakes that had begun come to their end.
        let open = connections.len();
        gateway.metrics.drain_remaining.set(open as i64);
        match pacer.poll(begun.elapsed(), open) {
            Step::Done => break,
            Step::Wait(time) => tokio::time::sleep(time).await,
            Step::Close(count) => {
                let mut closed = 0;
                while closed < count {
                    if order.is_empty() {
                        // Also those that came after the drain had begun.
                        order = random_order(connections.ids(), rand::random());
                    }
                    let Some(id) = order.pop() else { break };
                    // Those that left by themselves meanwhile cost no turn.
                    if let Some(sink) = connections.take(id) {
                        sink.close(CloseCode::Reconnect.code(), "the server is going away, reconnect");
                        closed += 1;
                    }
                }
            }
        }
    }
    gateway.metrics.drain_remaining.set(connections.len() as i64);
    info!(elapsed = ?begun.elapsed(), closed = total, "drained");
}

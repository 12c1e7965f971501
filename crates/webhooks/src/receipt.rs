//! Waiting for the disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use crate::outbox::Ticket;

/// What [`Webhooks::submit`](crate::Webhooks::submit) gives for a report. Whoever needs to know that it would
/// survive the process waits for it; whoever does not drops it.
#[derive(Debug)]
pub struct Receipt(Option<(Ticket, Progress)>);

/// How far the journal is.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    written: watch::Receiver<Ticket>,
    wait_max: Duration,
    /// How far the journal was when somebody waited for it in vain. While it gets no further, nobody waits any more:
    /// a stuck disk must not slow down every subscription.
    stuck_at: Arc<AtomicU64>,
}

// === impl Receipt ===

impl Receipt {
    /// Nothing was written.
    pub(crate) const NONE: Self = Self(None);

    /// Waits until the event is on disk. Returns at once if there is nothing to tell (yet), and early if the disk
    /// takes longer than [`append_wait_max`](crate::Settings::append_wait_max) or is known to be stuck.
    pub async fn written(self) {
        if let Some((ticket, progress)) = self.0 {
            progress.wait_for(ticket).await;
        }
    }
}

// === impl Progress ===

impl Progress {
    pub(crate) fn new(written: watch::Receiver<Ticket>, wait_max: Duration) -> Self {
        Self { written, wait_max, stuck_at: Arc::new(AtomicU64::new(Ticket::MAX)) }
    }

    pub(crate) fn receipt(&self, ticket: Ticket) -> Receipt {
        Receipt(Some((ticket, self.clone())))
    }

    async fn wait_for(mut self, ticket: Ticket) {
        let before = *self.written.borrow();
        if self.stuck_at.load(Ordering::Relaxed) == before {
            return;
        }
        let is_written = self.written.wait_for(|&written| written >= ticket);
        // If the journal has ended, there is nothing more to wait for.
        let is_late = timeout(self.wait_max, is_written).await.is_err();
        let is_stuck = is_late && *self.written.borrow() == before;
        if is_stuck && self.stuck_at.swap(before, Ordering::Relaxed) != before {
            tracing::warn!("the disk is stuck; until it goes on, nobody waits for the webhook queue");
        }
    }
}

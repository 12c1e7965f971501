//! All state in one place: what is reported goes in, what is to be written and sent comes out. No I/O and no clock
//! but the wall's, which only dates events.

use std::collections::HashMap;
use std::sync::Arc;

use courant_auth::Apps;
use courant_telemetry::Metrics;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::Settings;
use crate::clock::WallClock;
use crate::lane::Lane;
use crate::ledger::{Delivery, Ledger};
use crate::outbox::{Outbox, Pending, Release};
use crate::record::{DeliveryId, EndpointNumber, QueuedEvent, Record, Snapshot};
use crate::registry::Registry;
use crate::windows::{Counts, Misses};

mod admission;
mod deliveries;
mod reports;
mod stats;
#[cfg(test)]
mod tests;

use admission::Admission;

/// The state behind [`Webhooks`](crate::Webhooks).
pub(crate) struct Dispatcher {
    settings: Arc<Settings>,
    registry: Arc<Registry>,
    metrics: Arc<Metrics>,
    ledger: Ledger,
    lanes: HashMap<EndpointNumber, Lane>,
    admission: Admission,
    misses: Misses,
    counts: Counts,
    outbox: Outbox,
    clock: WallClock,
    /// Wakes who calls [`Dispatcher::tick`]: it may be needed earlier than was said.
    timers: Arc<Notify>,
}

/// When [`Dispatcher::tick`] is to be called again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tick {
    /// At once: there is more.
    Now,
    /// Then.
    At(Instant),
    /// When the timers are woken.
    Idle,
}

/// What a courier is to do.
#[derive(Debug)]
pub(crate) enum Step {
    /// Try this.
    Attempt(Attempt),
    /// Wait until then, or until woken.
    WaitUntil(Instant),
    /// Wait until woken.
    Wait,
}

/// A request to make.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) id: DeliveryId,
    pub(crate) webhook_id: String,
    pub(crate) events: Vec<Arc<QueuedEvent>>,
}

// === impl Dispatcher ===

impl Dispatcher {
    /// Takes over what was read from the log: makes new endpoints known, gives up what belongs to none any more,
    /// starts the grace of everything announced, and makes all deliveries due.
    pub(crate) fn new(
        settings: Arc<Settings>,
        apps: &Apps,
        mut ledger: Ledger,
        metrics: Arc<Metrics>,
        now: Instant,
    ) -> Self {
        let mut outbox = Outbox::default();
        if ledger.log == 0 {
            // Not 0, which stands for none.
            ledger.log = rand::random::<u64>() | 1;
            outbox.note(&Record::Created { log: ledger.log });
        }
        let (registry, unknown) = Registry::new(apps, &ledger.endpoints);
        if !unknown.is_empty() {
            outbox.note(&Record::Endpoints { known: unknown.clone() });
            ledger.know(unknown);
        }
        ledger.spans.share_among(registry.apps_with_spans());
        let lanes = registry
            .endpoints()
            .map(|(_, endpoint)| (endpoint.number, Lane::new(endpoint.config.batching)))
            .collect();
        let mut dispatcher = Self {
            admission: Admission::new(&settings),
            misses: Misses::new(settings.cache_miss_window, settings.remembered_max),
            counts: Counts::new(settings.count_interval, settings.remembered_max),
            registry: Arc::new(registry),
            settings,
            metrics,
            ledger,
            lanes,
            outbox,
            clock: WallClock::default(),
            timers: Arc::new(Notify::new()),
        };
        dispatcher.resume(now);
        dispatcher.gauge_announced();
        dispatcher
    }

    pub(crate) fn registry(&self) -> Arc<Registry> {
        Arc::clone(&self.registry)
    }

    pub(crate) fn outbox_wakers(&self) -> (Arc<Notify>, Arc<Notify>) {
        (Arc::clone(&self.outbox.urgent), Arc::clone(&self.outbox.lazy))
    }

    pub(crate) fn timers(&self) -> Arc<Notify> {
        Arc::clone(&self.timers)
    }

    pub(crate) fn lane_waker(&self, endpoint: EndpointNumber) -> Option<Arc<Notify>> {
        self.lanes.get(&endpoint).map(|lane| Arc::clone(&lane.wake))
    }

    /// Everything yet to be written.
    pub(crate) fn take_pending(&mut self) -> Pending {
        self.outbox.take()
    }

    /// Everything yet to be written, and the state once it is.
    pub(crate) fn take_pending_and_snapshot(&mut self) -> (Pending, Snapshot) {
        (self.outbox.take(), self.ledger.snapshot())
    }

    /// Lets deliveries start whose records are written.
    pub(crate) fn release(&mut self, releases: Vec<Release>, now: Instant) {
        for release in releases {
            match release {
                Release::Event { endpoint, id, bytes, key } => {
                    let Some(lane) = self.lanes.get_mut(&endpoint) else { continue };
                    if lane.batching { lane.gather(id, bytes, now) } else { lane.add(id, key, now) }
                }
                Release::Request { endpoint, id } => {
                    let Some(lane) = self.lanes.get_mut(&endpoint) else { continue };
                    lane.add(id, None, now);
                }
            }
        }
    }

    /// To be called after what begins, ends or is forgotten.
    fn gauge_announced(&self) {
        self.metrics.webhooks_announced.set(self.ledger.spans.len() as i64);
    }

    fn count_in(&mut self, endpoint: EndpointNumber, events: usize, bytes: usize) {
        if let Some(lane) = self.lanes.get_mut(&endpoint) {
            lane.events += events;
            lane.bytes += bytes;
        }
        self.admission.count_in(events, bytes);
        self.metrics.webhooks_queued.set(self.admission.events() as i64);
    }

    fn count_out(&mut self, delivery: &Delivery) {
        let events = delivery.events.len();
        let bytes: usize = delivery.events.iter().map(|event| event.bytes()).sum();
        if let Some(lane) = self.lanes.get_mut(&delivery.endpoint) {
            lane.events -= events;
            lane.bytes -= bytes;
        }
        self.admission.count_out(events, bytes);
        self.metrics.webhooks_queued.set(self.admission.events() as i64);
    }
}

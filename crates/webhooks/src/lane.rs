//! What is to be sent to one endpoint next. Pure: times and bounds come from the caller.
//!
//! Each endpoint has a lane of its own, so that a dead one delays no other. Deliveries start in the order of their
//! events, and a failed one steps aside until its next attempt is due: one event that a receiver can't take does
//! not hold up those behind it.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::record::DeliveryId;
use crate::{Failure, Settings};

#[cfg(test)]
mod tests;

/// The pause between attempts while nothing but failures comes back. Without it, a long queue to a receiver that
/// refuses connections would be tried thousands of times a second.
const FAILING_PAUSE: Duration = Duration::from_millis(10);

/// The queue of one endpoint.
#[derive(Debug)]
pub(crate) struct Lane {
    /// Wakes the courier that empties it.
    pub(crate) wake: Arc<Notify>,
    pub(crate) batching: bool,
    /// Events in all its deliveries, those included that are not written yet.
    pub(crate) events: usize,
    /// Bytes of these.
    pub(crate) bytes: usize,
    /// Events that wait for others to share a request.
    gathering: VecDeque<Gathered>,
    gathering_bytes: usize,
    /// Deliveries that were never tried by this process.
    fresh: VecDeque<(Instant, DeliveryId)>,
    /// Those that failed, by when they are due.
    retries: BTreeSet<(Instant, DeliveryId)>,
    pub(crate) in_flight: usize,
    pub(crate) failures_in_a_row: u64,
    pub(crate) delivered: u64,
    pub(crate) failed: u64,
    pub(crate) last_failure: Option<Failure>,
    not_before: Option<Instant>,
}

/// What a courier does next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Tries this delivery. It counts as in flight until [`Lane::settled`].
    Attempt(DeliveryId),
    /// Has these made one request, which comes back as fresh.
    Batch(Vec<DeliveryId>),
    /// Waits until then, or until woken.
    WaitUntil(Instant),
    /// Waits until woken.
    Wait,
}

#[derive(Debug)]
struct Gathered {
    since: Instant,
    id: DeliveryId,
    bytes: usize,
}

// === impl Lane ===

impl Lane {
    pub(crate) fn new(batching: bool) -> Self {
        Self {
            wake: Arc::new(Notify::new()),
            batching,
            events: 0,
            bytes: 0,
            gathering: VecDeque::new(),
            gathering_bytes: 0,
            fresh: VecDeque::new(),
            retries: BTreeSet::new(),
            in_flight: 0,
            failures_in_a_row: 0,
            delivered: 0,
            failed: 0,
            last_failure: None,
            not_before: None,
        }
    }

    /// Adds an event that may share a request.
    pub(crate) fn gather(&mut self, id: DeliveryId, bytes: usize, now: Instant) {
        self.gathering.push_back(Gathered { since: now, id, bytes });
        self.gathering_bytes += bytes;
        self.wake.notify_one();
    }

    /// Adds a delivery that is complete.
    pub(crate) fn add(&mut self, id: DeliveryId, now: Instant) {
        self.fresh.push_back((now, id));
        self.wake.notify_one();
    }

    /// Adds a delivery that failed before and is due then.
    pub(crate) fn retry(&mut self, id: DeliveryId, due: Instant) {
        self.retries.insert((due, id));
    }

    /// What to do now.
    pub(crate) fn next(&mut self, now: Instant, settings: &Settings) -> Next {
        let batch_due = self.batch_due(settings);
        if batch_due.is_some_and(|due| due <= now) {
            return Next::Batch(self.pop_batch(settings));
        }
        let delivery_due = self.delivery_due(settings);
        if delivery_due.is_some_and(|due| due <= now)
            && let Some(id) = self.pop_delivery()
        {
            self.in_flight += 1;
            let is_failing = self.failures_in_a_row >= settings.concurrency_per_endpoint as u64;
            self.not_before = is_failing.then_some(now + FAILING_PAUSE);
            return Next::Attempt(id);
        }
        [batch_due, delivery_due].into_iter().flatten().min().map_or(Next::Wait, Next::WaitUntil)
    }

    /// An attempt is over, and was accepted or failed; a failed delivery may be due again at `retry_at`.
    pub(crate) fn settled(
        &mut self,
        id: DeliveryId,
        outcome: Result<(), Failure>,
        retry_at: Option<Instant>,
    ) {
        self.in_flight = self.in_flight.saturating_sub(1);
        match outcome {
            Ok(()) => {
                self.delivered += 1;
                self.failures_in_a_row = 0;
                self.not_before = None;
            }
            Err(failure) => {
                self.failed += 1;
                self.failures_in_a_row += 1;
                self.last_failure = Some(failure);
            }
        }
        if let Some(due) = retry_at {
            self.retry(id, due);
        }
    }

    /// What [`next`](Self::next) just returned is no longer owed.
    pub(crate) fn forgotten(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// When the events that were gathered are to become a request.
    fn batch_due(&self, settings: &Settings) -> Option<Instant> {
        let first = self.gathering.front()?;
        let is_full =
            self.gathering.len() >= settings.batch_max || self.gathering_bytes >= settings.batch_bytes_max;
        Some(if is_full { first.since } else { first.since + settings.batch_linger })
    }

    /// The first events, up to the bounds but at least one.
    fn pop_batch(&mut self, settings: &Settings) -> Vec<DeliveryId> {
        let mut ids = Vec::new();
        let mut bytes = 0;
        while let Some(next) = self.gathering.pop_front_if(|next| {
            ids.is_empty()
                || (ids.len() < settings.batch_max && bytes + next.bytes <= settings.batch_bytes_max)
        }) {
            bytes += next.bytes;
            ids.push(next.id);
        }
        self.gathering_bytes -= bytes;
        ids
    }

    /// When a delivery may start.
    fn delivery_due(&self, settings: &Settings) -> Option<Instant> {
        if self.in_flight >= settings.concurrency_per_endpoint {
            return None;
        }
        let fresh = self.fresh.front().map(|&(since, _)| since);
        let retry = self.retries.first().map(|&(due, _)| due);
        let due = fresh.into_iter().chain(retry).min()?;
        Some(self.not_before.map_or(due, |not_before| due.max(not_before)))
    }

    /// The delivery that is due first.
    fn pop_delivery(&mut self) -> Option<DeliveryId> {
        let retry_is_first = match (self.fresh.front(), self.retries.first()) {
            (Some((since, _)), Some((due, _))) => due < since,
            (None, _) => true,
            (Some(_), None) => false,
        };
        let popped = if retry_is_first { self.retries.pop_first() } else { self.fresh.pop_front() };
        popped.map(|(_, id)| id)
    }
}

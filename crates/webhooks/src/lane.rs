//! What is to be sent to one endpoint next. Pure: times and bounds come from the caller.
//!
//! Each endpoint has a lane of its own, so that a dead one delays no other. Deliveries start in the order of their
//! events, and a failed one steps aside until its next attempt is due: one event that a receiver can't take does
//! not hold up those behind it, except those with its [`OrderKey`]. These wait until it is accepted or given up, so
//! that a receiver never sees a channel vacated first and occupied then, when it was the other way round.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::event::OrderKey;
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
    fresh: VecDeque<Fresh>,
    /// Those that failed, by when they are due.
    retries: BTreeSet<(Instant, DeliveryId)>,
    /// The keys of deliveries that are in flight or failed.
    held: HashMap<DeliveryId, OrderKey>,
    /// What waits for these, by key.
    behind: HashMap<OrderKey, VecDeque<Fresh>>,
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
    /// Tries this delivery. It counts as in flight until [`Lane::settled`]. If it had to wait for another one, its
    /// time to be tried began when it would have been sent.
    Attempt { id: DeliveryId, waited_since: Option<Instant> },
    /// Has these made one request, which comes back as fresh.
    Batch(Vec<DeliveryId>),
    /// Waits until then, or until woken.
    WaitUntil(Instant),
    /// Waits until woken.
    Wait,
}

/// A delivery to be tried for the first time.
#[derive(Debug)]
struct Fresh {
    since: Instant,
    id: DeliveryId,
    key: Option<OrderKey>,
    has_waited: bool,
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
            held: HashMap::new(),
            behind: HashMap::new(),
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
    pub(crate) fn add(&mut self, id: DeliveryId, key: Option<OrderKey>, now: Instant) {
        self.fresh.push_back(Fresh { since: now, id, key, has_waited: false });
        self.wake.notify_one();
    }

    /// Adds a delivery that failed before and is due then.
    pub(crate) fn retry(&mut self, id: DeliveryId, key: Option<OrderKey>, due: Instant) {
        self.hold(id, key);
        self.retries.insert((due, id));
    }

    /// What to do now.
    pub(crate) fn next(&mut self, now: Instant, settings: &Settings) -> Next {
        let batch_due = self.batch_due(settings);
        if batch_due.is_some_and(|due| due <= now) {
            return Next::Batch(self.pop_batch(settings));
        }
        self.set_aside();
        let delivery_due = self.delivery_due(settings);
        if delivery_due.is_some_and(|due| due <= now)
            && let Some((id, waited_since)) = self.pop_delivery()
        {
            self.in_flight += 1;
            let is_failing = self.failures_in_a_row >= settings.concurrency_per_endpoint as u64;
            self.not_before = is_failing.then_some(now + FAILING_PAUSE);
            return Next::Attempt { id, waited_since };
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
        match retry_at {
            Some(due) => {
                self.in_flight = self.in_flight.saturating_sub(1);
                self.retries.insert((due, id));
            }
            None => self.done(id),
        }
    }

    /// A delivery that [`next`](Self::next) returned is not owed any more.
    pub(crate) fn done(&mut self, id: DeliveryId) {
        self.in_flight = self.in_flight.saturating_sub(1);
        let Some(key) = self.held.remove(&id) else { return };
        let Some(mut waiting) = self.behind.remove(&key) else { return };
        if let Some(first) = waiting.pop_front() {
            // It is older than what is fresh, and holds its key until it is tried.
            self.hold(first.id, Some(key));
            self.behind.insert(key, waiting);
            self.fresh.push_front(first);
        }
    }

    fn hold(&mut self, id: DeliveryId, key: Option<OrderKey>) {
        if let Some(key) = key {
            self.held.insert(id, key);
            self.behind.entry(key).or_default();
        }
    }

    /// Takes those off the front that must wait for others.
    fn set_aside(&mut self) {
        while let Some(mut first) = self.fresh.pop_front() {
            let is_holder = self.held.contains_key(&first.id);
            match first.key.and_then(|key| self.behind.get_mut(&key)).filter(|_| !is_holder) {
                Some(waiting) => {
                    first.has_waited = true;
                    waiting.push_back(first);
                }
                None => return self.fresh.push_front(first),
            }
        }
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
        let fresh = self.fresh.front().map(|fresh| fresh.since);
        let retry = self.retries.first().map(|&(due, _)| due);
        let due = fresh.into_iter().chain(retry).min()?;
        Some(self.not_before.map_or(due, |not_before| due.max(not_before)))
    }

    /// The delivery that is due first, and since when it waited for another.
    fn pop_delivery(&mut self) -> Option<(DeliveryId, Option<Instant>)> {
        let retry_is_first = match (self.fresh.front(), self.retries.first()) {
            (Some(fresh), Some((due, _))) => *due < fresh.since,
            (None, _) => true,
            (Some(_), None) => false,
        };
        if retry_is_first {
            return self.retries.pop_first().map(|(_, id)| (id, None));
        }
        let Fresh { since, id, key, has_waited } = self.fresh.pop_front()?;
        self.hold(id, key);
        Some((id, has_waited.then_some(since)))
    }
}

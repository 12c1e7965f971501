//! Whether what began is over, or only away for a moment.
//!
//! Pure: the caller passes the time in and asks when to come back. What is tracked has a balance of begins and
//! ends; it has settled at one (present) or zero (absent). Only an announced key whose balance stays below one for
//! the whole grace has ended. A begin and an end that were reported in the wrong order, by two tasks that ran at
//! the same time, therefore cancel each other like any other pair; and if one of a pair is never reported, the
//! balance is set right after the grace, so that a single loss can't hold a channel occupied for ever.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::time::Duration;

use tokio::time::Instant;

use crate::share::{Owned, Shares};

#[cfg(test)]
mod tests;

/// How far a balance counts. More at one time means that reports were lost, and the grace sets it right.
const BALANCE_MAX: i8 = 100;

/// The keys that are announced or unsettled, each with what the caller keeps of its announcement.
#[derive(Debug)]
pub(crate) struct Grace<K: Owned, V> {
    grace: Duration,
    /// How much each owner has tracked.
    shares: Shares<K::Owner>,
    tracked: HashMap<K, Tracked<V>>,
    timers: BTreeMap<Timer, K>,
    /// Tells timers of one instant apart.
    timers_made: u64,
}

/// What a begin means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Begun {
    /// It is the first: announce it.
    First,
    /// There is nothing to tell: it was only away, or was there already.
    Settled,
    /// So many keys are tracked that its owner may have no more.
    Full,
}

type Timer = (Instant, u64);

#[derive(Debug)]
struct Tracked<V> {
    /// What was announced; `None` where only an early end was seen.
    announced: Option<V>,
    balance: i8,
    timer: Option<Timer>,
}

// === impl Grace ===

impl<K: Clone + Eq + Hash + Owned, V> Grace<K, V> {
    pub(crate) fn new(grace: Duration, tracked_max: usize) -> Self {
        let shares = Shares::new(tracked_max);
        Self { grace, shares, tracked: HashMap::new(), timers: BTreeMap::new(), timers_made: 0 }
    }

    /// Sets how many owners share the room. Until then each may use it up.
    pub(crate) fn share_among(&mut self, owners: usize) {
        self.shares.share_among(owners);
    }

    /// A key began. [`Begun::First`] is to be followed by [`announce`](Self::announce).
    pub(crate) fn begin(&mut self, key: &K, now: Instant) -> Begun {
        let Some(tracked) = self.tracked.get_mut(key) else {
            return if self.shares.has_room(key.owner()) { Begun::First } else { Begun::Full };
        };
        tracked.balance = (tracked.balance + 1).min(BALANCE_MAX);
        match (&tracked.announced, tracked.balance) {
            (None, 1..) => return Begun::First,
            (None, 0) => self.forget(key),
            _ => self.settle(key, now),
        }
        Begun::Settled
    }

    /// A key ended. Whether it really did shows after the grace.
    pub(crate) fn end(&mut self, key: &K, now: Instant) {
        if !self.tracked.contains_key(key) {
            if !self.shares.has_room(key.owner()) {
                return;
            }
            self.track(key.clone(), Tracked { announced: None, balance: 0, timer: None });
        }
        if let Some(tracked) = self.tracked.get_mut(key) {
            tracked.balance = (tracked.balance - 1).max(-BALANCE_MAX);
            self.settle(key, now);
        }
    }

    /// Records that a key was announced and is present.
    pub(crate) fn announce(&mut self, key: K, value: V) {
        self.forget(&key);
        self.track(key, Tracked { announced: Some(value), balance: 1, timer: None });
    }

    /// Forgets a key and what was announced of it.
    pub(crate) fn forget(&mut self, key: &K) {
        if let Some(timer) = self.untrack(key).and_then(|tracked| tracked.timer) {
            self.timers.remove(&timer);
        }
    }

    /// Makes everything announced end after the grace, unless it begins again: what a restart does to connections.
    pub(crate) fn end_all(&mut self, now: Instant) {
        let keys: Vec<K> = self.tracked.keys().cloned().collect();
        for key in keys {
            self.end(&key, now);
        }
    }

    /// The next key whose end is certain, with what was announced of it. It is forgotten.
    pub(crate) fn pop_ended(&mut self, now: Instant) -> Option<(K, V)> {
        loop {
            let entry = self.timers.first_entry().filter(|entry| entry.key().0 <= now)?;
            let key = entry.remove();
            let Some(tracked) = self.tracked.get_mut(&key) else { continue };
            tracked.timer = None;
            if tracked.announced.is_some() && tracked.balance >= 1 {
                tracked.balance = 1;
                continue;
            }
            let announced = self.untrack(&key).and_then(|tracked| tracked.announced);
            if let Some(value) = announced {
                return Some((key, value));
            }
        }
    }

    /// When [`pop_ended`](Self::pop_ended) has something to do next.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.timers.first_key_value().map(|(&(at, _), _)| at)
    }

    /// What is announced, in no order.
    pub(crate) fn announced(&self) -> impl Iterator<Item = (&K, &V)> {
        self.tracked.iter().filter_map(|(key, tracked)| Some((key, tracked.announced.as_ref()?)))
    }

    /// How many keys are announced or unsettled.
    pub(crate) fn len(&self) -> usize {
        self.tracked.len()
    }

    /// How many keys are unsettled.
    pub(crate) fn unsettled(&self) -> usize {
        self.timers.len()
    }

    /// Adds a key that is not tracked.
    fn track(&mut self, key: K, tracked: Tracked<V>) {
        self.shares.count_in(key.owner());
        self.tracked.insert(key, tracked);
    }

    fn untrack(&mut self, key: &K) -> Option<Tracked<V>> {
        let tracked = self.tracked.remove(key)?;
        self.shares.count_out(key.owner());
        Some(tracked)
    }

    /// Starts the grace of an unsettled key anew, or ends that of a settled one.
    fn settle(&mut self, key: &K, now: Instant) {
        let Some(tracked) = self.tracked.get_mut(key) else { return };
        if let Some(timer) = tracked.timer.take() {
            self.timers.remove(&timer);
        }
        let settled_at = i8::from(tracked.announced.is_some());
        if tracked.balance != settled_at {
            self.timers_made += 1;
            let timer = (now + self.grace, self.timers_made);
            tracked.timer = Some(timer);
            self.timers.insert(timer, key.clone());
        }
    }
}

//! What is told only now and then: cache misses and subscription counts. Pure, like [`crate::grace`].

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use courant_auth::AppId;
use tokio::time::Instant;

#[cfg(test)]
mod tests;

/// A channel of an application.
pub(crate) type Place = (AppId, Arc<str>);

/// The places that had their turn, until they may have another. Bounded: beyond it, places are told of more often.
#[derive(Debug)]
pub(crate) struct Turns<V> {
    interval: Duration,
    places_max: usize,
    /// When the turn is over, and what waits for that.
    places: HashMap<Place, (Instant, V)>,
    over: BTreeSet<(Instant, Place)>,
}

/// Tells a `cache_miss` once in a window.
pub(crate) type Misses = Turns<()>;

/// Tells the latest `subscription_count` once in an interval.
pub(crate) type Counts = Turns<Option<u64>>;

// === impl Turns ===

impl<V: Default> Turns<V> {
    pub(crate) fn new(interval: Duration, places_max: usize) -> Self {
        Self { interval, places_max, places: HashMap::new(), over: BTreeSet::new() }
    }

    /// When the next turn is over.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.over.first().map(|&(at, _)| at)
    }

    fn take_turn(&mut self, place: Place, now: Instant) {
        let over = now + self.interval;
        self.over.insert((over, place.clone()));
        self.places.insert(place, (over, V::default()));
    }

    fn is_full(&self) -> bool {
        self.places.len() >= self.places_max
    }

    fn forget(&mut self, place: &Place) -> Option<V> {
        let (over, waiting) = self.places.remove(place)?;
        self.over.remove(&(over, place.clone()));
        Some(waiting)
    }

    fn pop_first(&mut self) -> Option<(Place, V)> {
        let (_, place) = self.over.pop_first()?;
        let (_, waiting) = self.places.remove(&place)?;
        Some((place, waiting))
    }

    fn pop_over(&mut self, now: Instant) -> Option<(Place, V)> {
        self.over.first().filter(|(at, _)| *at <= now)?;
        self.pop_first()
    }
}

impl Misses {
    /// Whether this miss is to be told.
    pub(crate) fn is_news(&mut self, place: Place, now: Instant) -> bool {
        while self.pop_over(now).is_some() {}
        if self.places.contains_key(&place) {
            return false;
        }
        if self.is_full() {
            self.pop_first();
        }
        self.take_turn(place, now);
        true
    }

    /// The channel has an event: its next miss is news again.
    pub(crate) fn filled(&mut self, place: &Place) {
        self.forget(place);
    }
}

impl Counts {
    /// Whether this count is to be told now. If not, it is kept for later in place of an older one.
    pub(crate) fn is_due(&mut self, place: Place, count: u64, throttled_above: u64, now: Instant) -> bool {
        if count <= throttled_above {
            // What waited is older than what is told now.
            self.forget(&place);
            return true;
        }
        if let Some((_, waiting)) = self.places.get_mut(&place) {
            *waiting = Some(count);
            return false;
        }
        // Beyond the bound nothing is thrown out, since a waiting count would be lost: the place is just told of.
        if !self.is_full() {
            self.take_turn(place, now);
        }
        true
    }

    /// The next count whose time has come. Its place's next turn begins.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<(Place, u64)> {
        while let Some((place, waiting)) = self.pop_over(now) {
            if let Some(count) = waiting {
                self.take_turn(place.clone(), now);
                return Some((place, count));
            }
        }
        None
    }
}

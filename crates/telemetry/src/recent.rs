//! Who was connected a moment ago: what `courant_reconnections_total` is counted by.
//!
//! A storm of reconnections looks like a rush of new users unless somebody remembers who left. An address and an
//! app stand for a client, as nothing else is known when a connection opens; clients behind one address are
//! counted as one another, which a rate of thousands does not notice.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

#[cfg(test)]
mod tests;

/// How long a client is at least remembered, and for at most twice as long.
const GENERATION: Duration = Duration::from_secs(60);

/// The bound of a generation. Both together take at most some 2.5 MB.
const ENTRIES_MAX: usize = 64 << 10;

/// Clients that left within the last minute or two, in bounded memory.
///
/// Only keyed hashes are kept, with a key that is drawn per process and never leaves it, so no address is in
/// memory for longer than its connection. When more clients leave within a minute than the bound, those that
/// left first are forgotten early.
#[derive(Debug)]
pub struct RecentClients {
    key: RandomState,
    /// Taken once when a connection opens and once when it ends, for a hash table operation.
    generations: Mutex<Generations>,
}

#[derive(Debug)]
struct Generations {
    young: HashSet<u64>,
    old: HashSet<u64>,
    /// When the young generation was begun.
    begun: Instant,
    entries_max: usize,
}

// === impl RecentClients ===

impl RecentClients {
    /// Remembers nobody yet.
    pub fn new(now: Instant) -> Self {
        Self::with_entries_max(ENTRIES_MAX, now)
    }

    fn with_entries_max(entries_max: usize, now: Instant) -> Self {
        let generations = Generations { young: HashSet::new(), old: HashSet::new(), begun: now, entries_max };
        Self { key: RandomState::new(), generations: Mutex::new(generations) }
    }

    /// Remembers a client whose connection ended.
    pub fn left(&self, address: IpAddr, app: &str, now: Instant) {
        let client = self.key.hash_one((address, app));
        self.generations.lock().insert(client, now);
    }

    /// Whether a client that connects now was here a moment ago.
    pub fn was_here(&self, address: IpAddr, app: &str, now: Instant) -> bool {
        let client = self.key.hash_one((address, app));
        self.generations.lock().contains(client, now)
    }
}

// === impl Generations ===

impl Generations {
    fn insert(&mut self, client: u64, now: Instant) {
        self.age(now);
        if self.young.len() >= self.entries_max && !self.young.contains(&client) {
            self.rotate(now);
        }
        self.young.insert(client);
    }

    fn contains(&mut self, client: u64, now: Instant) -> bool {
        self.age(now);
        self.young.contains(&client) || self.old.contains(&client)
    }

    fn age(&mut self, now: Instant) {
        let age = now.saturating_duration_since(self.begun);
        if age >= GENERATION * 2 {
            // Nobody came for so long that even the young generation is too old.
            self.young = HashSet::new();
        }
        if age >= GENERATION {
            self.rotate(now);
        }
    }

    /// The old generation is dropped, not cleared, so that the memory of a storm is given back.
    fn rotate(&mut self, now: Instant) {
        self.old = std::mem::take(&mut self.young);
        self.begun = now;
    }
}

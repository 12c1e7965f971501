//! How many connections an address has, and how fast it opens them.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::{Quota, RateLimiter};
use crate::Networks;

#[cfg(test)]
mod tests;

/// Locks that the addresses are spread over, so that accepts on different cores rarely meet.
const SHARDS: usize = 16;

/// How often a shard looks for addresses that need no memory any more. Looking costs time in proportion to what is
/// known, and a flood of new addresses must not make every accept pay it.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// What an address may do.
#[derive(Clone, Debug)]
pub struct AddressLimits {
    /// Connections open at one time.
    pub connections_max: NonZeroU32,
    /// New connections.
    pub connection_rate: Quota,
    /// Addresses that are not limited.
    pub exempt: Networks,
    /// How many addresses are told apart; the rest share the limits of one. It bounds the memory (about 100 bytes each)
    /// that someone with many addresses can take.
    pub addresses_max: NonZeroUsize,
}

/// Counts the connections of each address. Cheap to share.
///
/// An IPv6 address stands for its /64: that is what a single customer gets, and they can use all of it.
#[derive(Clone, Debug)]
pub struct Addresses(Arc<Inner>);

/// One counted connection; dropping it counts it out.
#[derive(Debug)]
#[must_use = "the connection is counted only as long as this lives"]
pub struct AddressGuard {
    /// `None`: the address is exempt.
    counted: Option<(Arc<Inner>, Subject)>,
}

/// Why a connection is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressRefused {
    /// The address has as many connections as it may have.
    #[error("the address already has {connections_max} connections, the most it may have")]
    TooMany {
        /// The bound.
        connections_max: u32,
    },
    /// The address opens connections faster than it may.
    #[error("the address opens connections too fast")]
    TooFast,
}

#[derive(Debug)]
struct Inner {
    limits: AddressLimits,
    /// Seeded, so that nobody can choose addresses that meet in one shard.
    hasher: RandomState,
    shards: [Mutex<Shard>; SHARDS],
}

/// Whose connections are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Subject {
    Network(IpAddr),
    /// The addresses of this shard that came when it was full.
    Others(usize),
}

#[derive(Debug, Default)]
struct Shard {
    subjects: HashMap<Subject, Usage>,
    next_sweep: Option<Instant>,
}

#[derive(Debug, Default)]
struct Usage {
    open: u32,
    rate: RateLimiter,
}

// === impl Addresses ===

impl Addresses {
    /// No connections yet.
    pub fn new(limits: AddressLimits) -> Self {
        Self(Arc::new(Inner { limits, hasher: RandomState::new(), shards: Default::default() }))
    }

    /// Counts a connection of an address, or refuses it.
    ///
    /// # Errors
    /// The address has too many connections, or opens them too fast. A refused one counts towards neither.
    pub fn admit(&self, address: IpAddr, now: Instant) -> Result<AddressGuard, AddressRefused> {
        let limits = &self.0.limits;
        if limits.exempt.contains(address) {
            return Ok(AddressGuard { counted: None });
        }
        let (subject, at) = self.0.subject(address);
        let mut shard = self.0.shards[at].lock();
        let subject = shard.room_for(subject, at, limits.addresses_max.get().div_ceil(SHARDS), now);
        let usage = shard.subjects.entry(subject).or_default();
        if usage.open >= limits.connections_max.get() {
            return Err(AddressRefused::TooMany { connections_max: limits.connections_max.get() });
        }
        usage.rate.check(&limits.connection_rate, now).map_err(|_| AddressRefused::TooFast)?;
        usage.open += 1;
        drop(shard);
        Ok(AddressGuard { counted: Some((Arc::clone(&self.0), subject)) })
    }

    /// How many addresses are known at the moment.
    pub fn known(&self) -> usize {
        self.0.shards.iter().map(|shard| shard.lock().subjects.len()).sum()
    }
}

// === impl AddressGuard ===

impl Drop for AddressGuard {
    fn drop(&mut self) {
        let Some((inner, subject)) = self.counted.take() else { return };
        let mut shard = inner.shards[inner.shard_of(subject)].lock();
        if let Some(usage) = shard.subjects.get_mut(&subject) {
            // Its rate is still remembered; the next sweep forgets it.
            usage.open = usage.open.saturating_sub(1);
        }
    }
}

// === impl Inner ===

impl Inner {
    /// Whom an address stands for, and in which shard it is.
    fn subject(&self, address: IpAddr) -> (Subject, usize) {
        let network = match address.to_canonical() {
            IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
            v4 => v4,
        };
        let subject = Subject::Network(network);
        (subject, self.shard_of(subject))
    }

    fn shard_of(&self, subject: Subject) -> usize {
        match subject {
            Subject::Network(network) => self.hasher.hash_one(network) as usize % SHARDS,
            Subject::Others(shard) => shard,
        }
    }
}

// === impl Shard ===

impl Shard {
    /// The subject itself if it is known or there is room for it, else the others of this shard.
    fn room_for(&mut self, subject: Subject, at: usize, subjects_max: usize, now: Instant) -> Subject {
        if self.subjects.contains_key(&subject) {
            return subject;
        }
        if self.next_sweep.is_none_or(|next| next <= now) {
            self.next_sweep = Some(now + SWEEP_INTERVAL);
            self.subjects.retain(|_, usage| usage.open > 0 || !usage.rate.is_idle(now));
            self.subjects.shrink_to(self.subjects.len() * 2);
        }
        if self.subjects.len() < subjects_max { subject } else { Subject::Others(at) }
    }
}

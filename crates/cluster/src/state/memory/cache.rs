//! The last events of cache channels.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::MemoryStateLimits;
use crate::{CachedEvent, ChannelKey, MessageId};

/// How many expired events one write forgets at most. More than one, so that they become fewer; few, so that
/// no write is long.
const PURGE_MAX: usize = 8;

/// What keeping an event costs beside its bytes and its key's: entries of two maps, two counted references.
const ENTRY_OVERHEAD_BYTES: usize = 256;

/// Longer than any process runs; stands for times that the clock can't express.
const FOREVER: Duration = Duration::from_secs(60 * 60 * 24 * 365 * 30);

/// Events by channel, bounded in number and bytes over all applications.
///
/// Expired ones are never given out, and are forgotten when they are asked for or little by little as others
/// are put, so what lingers is bounded too. What doesn't fit displaces those that would expire first.
#[derive(Debug)]
pub(super) struct Cache {
    limits: MemoryStateLimits,
    events: HashMap<ChannelKey, Kept>,
    /// The same, by when they expire.
    expiries: BTreeMap<Expiry, ChannelKey>,
    bytes: usize,
    next: u64,
}

/// When an event expires, told apart from others of the same moment.
type Expiry = (Instant, u64);

#[derive(Debug)]
struct Kept {
    id: MessageId,
    event: Bytes,
    expiry: Expiry,
}

impl Cache {
    pub(super) fn new(limits: MemoryStateLimits) -> Self {
        Self { limits, events: HashMap::new(), expiries: BTreeMap::new(), bytes: 0, next: 0 }
    }

    pub(super) fn get(&mut self, key: &ChannelKey, now: Instant) -> Option<CachedEvent> {
        let kept = self.events.get(key)?;
        let ttl = kept.expiry.0.saturating_duration_since(now);
        if ttl.is_zero() {
            self.remove(key);
            return None;
        }
        Some(CachedEvent { id: kept.id, event: kept.event.clone(), ttl })
    }

    /// Keeps an event in the place of the channel's former one. One that is larger than all the room there is
    /// is not kept, and the former one goes all the same: it is no longer the last.
    pub(super) fn put(&mut self, key: &ChannelKey, event: CachedEvent, now: Instant) {
        self.remove(key);
        self.purge(now);
        let bytes = cost(key, &event.event);
        if event.ttl.is_zero() || bytes > self.limits.cached_bytes_max || self.limits.cached_events_max == 0 {
            return;
        }
        while self.events.len() >= self.limits.cached_events_max
            || self.bytes > self.limits.cached_bytes_max - bytes
        {
            if !self.remove_first() {
                break;
            }
        }
        let expires = now.checked_add(event.ttl).unwrap_or_else(|| now + FOREVER);
        let expiry = (expires, self.next);
        self.next += 1;
        self.bytes += bytes;
        self.expiries.insert(expiry, key.clone());
        // Copied, for it may be a slice that would keep a whole request's bytes alive uncounted.
        let kept = Kept { id: event.id, event: Bytes::copy_from_slice(&event.event), expiry };
        self.events.insert(key.clone(), kept);
    }

    fn purge(&mut self, now: Instant) {
        for _ in 0..PURGE_MAX {
            match self.expiries.first_key_value() {
                Some((expiry, _)) if expiry.0 <= now => self.remove_first(),
                _ => return,
            };
        }
    }

    fn remove_first(&mut self) -> bool {
        let Some((_, key)) = self.expiries.first_key_value() else {
            return false;
        };
        let key = key.clone();
        self.remove(&key);
        true
    }

    fn remove(&mut self, key: &ChannelKey) {
        if let Some(kept) = self.events.remove(key) {
            self.expiries.remove(&kept.expiry);
            self.bytes -= cost(key, &kept.event);
        }
    }

    /// Events and bytes that are held, expired ones included.
    #[cfg(test)]
    pub(super) fn held(&self) -> (usize, usize) {
        assert_eq!(self.events.len(), self.expiries.len());
        (self.events.len(), self.bytes)
    }
}

fn cost(key: &ChannelKey, event: &Bytes) -> usize {
    event.len() + key.app.len() + key.channel.len() + ENTRY_OVERHEAD_BYTES
}

//! The state of a single process.

mod cache;
mod channel;
mod connections;
mod quota;
mod shards;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::time::Instant;

use self::cache::Cache;
use self::channel::Channel;
use self::connections::Connections;
use self::quota::Quota;
use self::shards::{SHARDS, Shards};
use crate::{
    CachedEvent, ChannelCounts, ChannelKey, Join, Joined, Left, Member, SignedIn, SignedOut, State,
    StateError, SubscriberId,
};

/// Sorting more names than this takes over half a millisecond, so it leaves the runtime's threads.
const SORT_INLINE_MAX: usize = 4096;

/// Bounds of what a [`MemoryState`] keeps beside live connections, which are bounded where they are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryStateLimits {
    /// The most last events of cache channels, over all applications: 100,000 by default. Beyond it those
    /// that would expire first are forgotten, which their channels see as a cache miss.
    pub cached_events_max: usize,
    /// The most bytes of them, keys and bookkeeping included: 64 MiB by default, that is the whole number of
    /// events at some 400 bytes each.
    pub cached_bytes_max: usize,
}

/// A [`State`] in this process's memory, for a cluster of one gateway.
///
/// Channels, users and connections are spread over locks by the hash of their names; a lock is held for one
/// look-up and change, never across an await. What concerns one channel, user or application happens under
/// one lock, which makes each transition's report exact.
///
/// A connection with an ordinary channel to itself takes some 120 bytes, the channel's name not counted; one of
/// many in a channel some 90.
pub struct MemoryState {
    /// Ordered within a shard, so that a prefix is found without a visit to every channel.
    channels: Shards<BTreeMap<Arc<str>, Channel>>,
    users: Shards<HashMap<Arc<str>, Connections>>,
    quota: Quota,
    /// Taken while a channel's shard is locked, never the other way round.
    cache: Mutex<Cache>,
}

impl MemoryState {
    /// An empty state.
    pub fn new(limits: MemoryStateLimits) -> Self {
        Self {
            channels: Shards::new(),
            users: Shards::new(),
            quota: Quota::new(),
            cache: Mutex::new(Cache::new(limits)),
        }
    }

    /// The application's channels under a prefix, sorted within each shard.
    async fn occupied(&self, app: &str, prefix: &str) -> Vec<(Arc<str>, ChannelCounts)> {
        let mut found = Vec::new();
        for nth in 0..SHARDS {
            self.channels.read_nth(nth, app, |channels| {
                let from = (Bound::Included(prefix), Bound::Unbounded);
                let under_prefix =
                    channels.range::<str, _>(from).take_while(|(name, _)| name.starts_with(prefix));
                found.extend(under_prefix.map(|(name, channel)| (name.clone(), channel.counts())));
            });
            tokio::task::consume_budget().await;
        }
        found
    }
}

// === impl State ===

#[async_trait]
impl State for MemoryState {
    async fn join(
        &self,
        key: &ChannelKey,
        connection: SubscriberId,
        join: Join,
    ) -> Result<Joined, StateError> {
        self.channels.write(&key.app, &*key.channel, |channels| {
            let is_presence = join.member.is_some();
            let mut fresh = Channel::default();
            let known = channels.get_mut(&key.channel);
            let occupied = known.is_none();
            let channel = known.unwrap_or(&mut fresh);
            let change = channel.join(connection, join.member, join.members_max)?;
            let joined = Joined {
                occupied,
                member_added: change.member,
                subscription_count: channel.counts().subscription_count,
                members: if is_presence { channel.members() } else { Vec::new() },
                cached: join.cached.then(|| self.cache.lock().get(key, Instant::now())).flatten(),
            };
            if occupied {
                channels.insert(key.channel.clone(), fresh);
            }
            Ok(joined)
        })
    }

    async fn leave(&self, key: &ChannelKey, connection: SubscriberId) -> Result<Left, StateError> {
        let left = self.channels.write(&key.app, &*key.channel, |channels| {
            let Some(channel) = channels.get_mut(&key.channel) else {
                return Left::default();
            };
            let change = channel.leave(connection);
            let vacated = channel.is_empty();
            let subscription_count = channel.counts().subscription_count;
            if vacated {
                channels.remove(&key.channel);
            }
            Left { vacated, member_removed: change.member, subscription_count }
        });
        Ok(left)
    }

    async fn counts(&self, key: &ChannelKey) -> Result<ChannelCounts, StateError> {
        let counts = self.channels.read(&key.app, &*key.channel, |channels| {
            channels.get(&key.channel).map(Channel::counts).unwrap_or_default()
        });
        Ok(counts.unwrap_or_default())
    }

    async fn channels(&self, app: &str, prefix: &str) -> Result<Vec<(Arc<str>, ChannelCounts)>, StateError> {
        let mut found = self.occupied(app, prefix).await;
        let by_name = |found: &mut Vec<(Arc<str>, ChannelCounts)>| found.sort_by(|a, b| a.0.cmp(&b.0));
        if found.len() <= SORT_INLINE_MAX {
            by_name(&mut found);
            return Ok(found);
        }
        let sorted = tokio::task::spawn_blocking(move || {
            by_name(&mut found);
            found
        });
        sorted.await.map_err(|_| StateError::Unavailable("the process is stopping".into()))
    }

    async fn members(&self, key: &ChannelKey) -> Result<Vec<Member>, StateError> {
        let members = self.channels.read(&key.app, &*key.channel, |channels| {
            channels.get(&key.channel).map(Channel::members).unwrap_or_default()
        });
        Ok(members.unwrap_or_default())
    }

    async fn put_cached(&self, key: &ChannelKey, event: CachedEvent) -> Result<(), StateError> {
        self.cache.lock().put(key, event, Instant::now());
        Ok(())
    }

    async fn cached(&self, key: &ChannelKey) -> Result<Option<CachedEvent>, StateError> {
        Ok(self.cache.lock().get(key, Instant::now()))
    }

    async fn sign_in(
        &self,
        app: &str,
        user_id: &str,
        connection: SubscriberId,
    ) -> Result<SignedIn, StateError> {
        let online = self.users.write(app, user_id, |users| match users.get_mut(user_id) {
            Some(connections) => {
                connections.insert(connection);
                false
            }
            None => {
                users.insert(user_id.into(), Connections::One(connection));
                true
            }
        });
        Ok(SignedIn { online })
    }

    async fn sign_out(
        &self,
        app: &str,
        user_id: &str,
        connection: SubscriberId,
    ) -> Result<SignedOut, StateError> {
        let offline = self.users.write(app, user_id, |users| {
            let Some(connections) = users.get_mut(user_id) else {
                return false;
            };
            connections.remove(connection);
            let offline = connections.len() == 0;
            if offline {
                users.remove(user_id);
            }
            offline
        });
        Ok(SignedOut { offline })
    }

    async fn online(&self, app: &str, user_ids: &[Arc<str>]) -> Result<Vec<bool>, StateError> {
        let is_online = |user_id: &Arc<str>| {
            self.users.read(app, &**user_id, |users| users.contains_key(user_id)).unwrap_or(false)
        };
        Ok(user_ids.iter().map(is_online).collect())
    }

    async fn connect(
        &self,
        app: &str,
        connection: SubscriberId,
        connections_max: Option<u64>,
    ) -> Result<u64, StateError> {
        self.quota.connect(app, connection, connections_max)
    }

    async fn disconnect(&self, app: &str, connection: SubscriberId) -> Result<(), StateError> {
        self.quota.disconnect(app, connection);
        Ok(())
    }
}

impl Default for MemoryState {
    fn default() -> Self {
        Self::new(MemoryStateLimits::default())
    }
}

impl Default for MemoryStateLimits {
    fn default() -> Self {
        Self { cached_events_max: 100_000, cached_bytes_max: 64 * 1024 * 1024 }
    }
}

impl fmt::Debug for MemoryState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryState").finish_non_exhaustive()
    }
}

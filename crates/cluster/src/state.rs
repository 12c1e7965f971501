//! What gateways know together: who is where.

mod memory;

pub use memory::{MemoryState, MemoryStateLimits};

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::{MessageId, SubscriberId};

/// A channel of an application.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChannelKey {
    /// The application's id.
    pub app: Arc<str>,
    /// The channel's name.
    pub channel: Arc<str>,
}

/// A user in a presence channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The user's id, as text.
    pub user_id: Arc<str>,
    /// `user_info` as JSON text, as the first connection of the user gave it.
    pub user_info: Option<Arc<str>>,
}

/// A connection's wish to be in a channel.
#[derive(Clone, Debug)]
pub struct Join {
    /// Whose connection it is, in a presence channel.
    pub member: Option<Member>,
    /// The most distinct users the channel may hold, in a presence channel.
    pub members_max: usize,
    /// Whether to read the last event too, in a cache channel.
    pub cached: bool,
}

/// What a join changed and found. All of it is of one moment.
#[derive(Clone, Debug, Default)]
pub struct Joined {
    /// The channel was empty before: `channel_occupied`.
    pub occupied: bool,
    /// The user was not in the channel before: `member_added`.
    pub member_added: bool,
    /// Connections in the channel, this one included.
    pub subscription_count: u64,
    /// All users in the channel, this one included, in the order of their first joining. Empty where no member joined.
    pub members: Vec<Member>,
    /// The last event, where it was asked for and there is one.
    pub cached: Option<CachedEvent>,
}

/// What a leave changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// It was the channel's last connection: `channel_vacated`.
    pub vacated: bool,
    /// It was the user's last connection in the channel: `member_removed`.
    pub member_removed: bool,
    /// Connections still in the channel.
    pub subscription_count: u64,
}

/// The last event of a cache channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachedEvent {
    /// The message that carried it.
    pub id: MessageId,
    /// The whole event as JSON text, as subscribers get it.
    pub event: Bytes,
    /// How long it stays.
    pub ttl: Duration,
}

/// How many are in a channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChannelCounts {
    /// Connections.
    pub subscription_count: u64,
    /// Distinct users; 0 where the channel has no presence.
    pub user_count: u64,
}

/// What a sign-in changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedIn {
    /// It is the user's first connection: the user came online.
    pub online: bool,
}

/// What a sign-out changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedOut {
    /// It was the user's last connection: the user went offline.
    pub offline: bool,
}

/// What gateways know together, decided atomically.
///
/// Each transition (first in, last out) is reported by exactly one call, whatever runs at the same time. A call
/// that repeats what already is (a second join of the same connection) changes and reports nothing.
#[async_trait]
pub trait State: Send + Sync + 'static {
    /// Adds a connection to a channel.
    async fn join(
        &self,
        key: &ChannelKey,
        connection: SubscriberId,
        join: Join,
    ) -> Result<Joined, StateError>;

    /// Takes a connection out of a channel. One that is not there changes nothing.
    async fn leave(&self, key: &ChannelKey, connection: SubscriberId) -> Result<Left, StateError>;

    /// Counts a channel; zeros where nobody is.
    async fn counts(&self, key: &ChannelKey) -> Result<ChannelCounts, StateError>;

    /// The occupied channels of an application whose names begin with `prefix`, by name.
    async fn channels(&self, app: &str, prefix: &str) -> Result<Vec<(Arc<str>, ChannelCounts)>, StateError>;

    /// The users in a presence channel, in the order of their first joining.
    async fn members(&self, key: &ChannelKey) -> Result<Vec<Member>, StateError>;

    /// Keeps an event as the channel's last, for its `ttl`.
    async fn put_cached(&self, key: &ChannelKey, event: CachedEvent) -> Result<(), StateError>;

    /// The channel's last event, with the `ttl` that remains.
    async fn cached(&self, key: &ChannelKey) -> Result<Option<CachedEvent>, StateError>;

    /// Records that a connection acts for a user.
    async fn sign_in(
        &self,
        app: &str,
        user_id: &str,
        connection: SubscriberId,
    ) -> Result<SignedIn, StateError>;

    /// Takes that back.
    async fn sign_out(
        &self,
        app: &str,
        user_id: &str,
        connection: SubscriberId,
    ) -> Result<SignedOut, StateError>;

    /// Which of these users are online, answered in their order.
    async fn online(&self, app: &str, user_ids: &[Arc<str>]) -> Result<Vec<bool>, StateError>;

    /// Counts a connection of an application, unless there are `connections_max` already.
    async fn connect(
        &self,
        app: &str,
        connection: SubscriberId,
        connections_max: Option<u64>,
    ) -> Result<u64, StateError>;

    /// Counts it out again.
    async fn disconnect(&self, app: &str, connection: SubscriberId) -> Result<(), StateError>;
}

/// Why the state did not change.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The presence channel holds as many users as it may.
    #[error("the channel already has {members_max} members, the most it may have")]
    MembersFull {
        /// The bound.
        members_max: usize,
    },
    /// The application has as many connections as it may.
    #[error("the application already has {connections_max} connections, the most it may have")]
    ConnectionsFull {
        /// The bound.
        connections_max: u64,
    },
    /// What holds the state is away.
    #[error("the state is unavailable: {0}")]
    Unavailable(String),
}

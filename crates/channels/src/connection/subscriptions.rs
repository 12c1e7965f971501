//! The channels of one connection.

use std::sync::Arc;

use courant_hub::Subscription;

use crate::name::ChannelName;

/// A channel that a connection is in.
pub(super) struct JoinedChannel {
    pub(super) subscription: Subscription,
    /// As whom, in a presence channel.
    pub(super) user_id: Option<Arc<str>>,
}

/// Channels by name, in order: a connection has a few, for which a sorted list is the smallest and fastest map.
#[derive(Default)]
pub(super) struct Subscriptions(Vec<(ChannelName, JoinedChannel)>);

impl Subscriptions {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn get(&self, channel: &ChannelName) -> Option<&JoinedChannel> {
        self.position(channel).ok().map(|at| &self.0[at].1)
    }

    /// Adds a channel that is not there yet.
    pub(super) fn insert(&mut self, channel: ChannelName, joined: JoinedChannel) {
        let at = self.position(&channel).unwrap_or_else(|at| at);
        if self.0.is_empty() {
            // One channel is the most usual number; the vector's own first growth is to four.
            self.0.reserve_exact(1);
        }
        self.0.insert(at, (channel, joined));
    }

    pub(super) fn remove(&mut self, channel: &ChannelName) -> Option<JoinedChannel> {
        let at = self.position(channel).ok()?;
        Some(self.0.remove(at).1)
    }

    pub(super) fn drain(&mut self) -> impl Iterator<Item = (ChannelName, JoinedChannel)> {
        std::mem::take(&mut self.0).into_iter()
    }

    fn position(&self, channel: &ChannelName) -> Result<usize, usize> {
        self.0.binary_search_by(|(name, _)| name.cmp(channel))
    }
}

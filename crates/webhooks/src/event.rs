//! What webhooks tell.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use courant_auth::{AppId, WebhookEvent};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::share::Owned;

#[cfg(test)]
mod tests;

/// Something that happened in a channel. As JSON it is what receivers get (Pusher webhooks, "Webhook format").
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum Event {
    /// The first connection subscribed.
    ChannelOccupied {
        /// The channel's name.
        channel: Arc<str>,
    },
    /// The last connection left.
    ChannelVacated {
        /// The channel's name.
        channel: Arc<str>,
    },
    /// The first connection of a user subscribed to a presence channel.
    MemberAdded {
        /// The channel's name.
        channel: Arc<str>,
        /// The user's id.
        user_id: Arc<str>,
    },
    /// The last connection of a user left a presence channel.
    MemberRemoved {
        /// The channel's name.
        channel: Arc<str>,
        /// The user's id.
        user_id: Arc<str>,
    },
    /// A client sent an event.
    ClientEvent {
        /// The channel's name.
        channel: Arc<str>,
        /// The event's name.
        event: String,
        /// The event's data: always a string, since the SDKs of typed languages read one.
        data: String,
        /// Who sent it.
        socket_id: String,
        /// As whom, in a presence channel.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        user_id: Option<Arc<str>>,
    },
    /// A client subscribed to a cache channel that holds no event.
    CacheMiss {
        /// The channel's name.
        channel: Arc<str>,
    },
    /// The number of subscribers changed.
    SubscriptionCount {
        /// The channel's name.
        channel: Arc<str>,
        /// How many there are.
        subscription_count: u64,
    },
}

/// What begins and ends: a channel's occupation, or a member's presence in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Span {
    pub(crate) app: AppId,
    pub(crate) channel: Arc<str>,
    /// The member; `None` is the channel itself.
    pub(crate) user_id: Option<Arc<str>>,
}

/// What must reach a receiver in order: events with the same key, a hash, are about the same thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct OrderKey(pub(crate) u64);

/// Whether an event begins or ends a [`Span`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Edge {
    Begin,
    End,
}

// === impl Event ===

impl Event {
    /// Which of the seven it is.
    pub fn kind(&self) -> WebhookEvent {
        match self {
            Self::ChannelOccupied { .. } => WebhookEvent::ChannelOccupied,
            Self::ChannelVacated { .. } => WebhookEvent::ChannelVacated,
            Self::MemberAdded { .. } => WebhookEvent::MemberAdded,
            Self::MemberRemoved { .. } => WebhookEvent::MemberRemoved,
            Self::ClientEvent { .. } => WebhookEvent::ClientEvent,
            Self::CacheMiss { .. } => WebhookEvent::CacheMiss,
            Self::SubscriptionCount { .. } => WebhookEvent::SubscriptionCount,
        }
    }

    /// Where it happened.
    pub fn channel(&self) -> &Arc<str> {
        match self {
            Self::ChannelOccupied { channel }
            | Self::ChannelVacated { channel }
            | Self::MemberAdded { channel, .. }
            | Self::MemberRemoved { channel, .. }
            | Self::ClientEvent { channel, .. }
            | Self::CacheMiss { channel }
            | Self::SubscriptionCount { channel, .. } => channel,
        }
    }

    /// It as receivers get it.
    pub(crate) fn to_json(&self) -> Box<RawValue> {
        serde_json::value::to_raw_value(self).expect("texts and numbers can be encoded")
    }

    /// Which events it must not overtake: those of the same occupation, presence or count. Client events need no
    /// order, as they have none among the clients either, and a busy channel has too many to send one by one.
    pub(crate) fn order_key(&self) -> Option<OrderKey> {
        let (about, user_id) = match self {
            Self::ChannelOccupied { .. } | Self::ChannelVacated { .. } => (0u8, None),
            Self::MemberAdded { user_id, .. } | Self::MemberRemoved { user_id, .. } => (1, Some(user_id)),
            Self::SubscriptionCount { .. } => (2, None),
            Self::ClientEvent { .. } | Self::CacheMiss { .. } => return None,
        };
        let mut hasher = DefaultHasher::new();
        (about, self.channel(), user_id).hash(&mut hasher);
        Some(OrderKey(hasher.finish()))
    }

    /// What it begins or ends, if it does.
    pub(crate) fn edge(&self, app: &AppId) -> Option<(Edge, Span)> {
        let (edge, user_id) = match self {
            Self::ChannelOccupied { .. } => (Edge::Begin, None),
            Self::ChannelVacated { .. } => (Edge::End, None),
            Self::MemberAdded { user_id, .. } => (Edge::Begin, Some(Arc::clone(user_id))),
            Self::MemberRemoved { user_id, .. } => (Edge::End, Some(Arc::clone(user_id))),
            Self::ClientEvent { .. } | Self::CacheMiss { .. } | Self::SubscriptionCount { .. } => {
                return None;
            }
        };
        Some((edge, Span { app: app.clone(), channel: Arc::clone(self.channel()), user_id }))
    }
}

// === impl Span ===

impl Span {
    /// The kind of the event that begins it.
    pub(crate) fn begin_kind(&self) -> WebhookEvent {
        match self.user_id {
            Some(_) => WebhookEvent::MemberAdded,
            None => WebhookEvent::ChannelOccupied,
        }
    }

    /// The kind of the event that ends it.
    pub(crate) fn end_kind(&self) -> WebhookEvent {
        match self.user_id {
            Some(_) => WebhookEvent::MemberRemoved,
            None => WebhookEvent::ChannelVacated,
        }
    }

    /// The event that ends it.
    pub(crate) fn end(&self) -> Event {
        let channel = Arc::clone(&self.channel);
        match &self.user_id {
            Some(user_id) => Event::MemberRemoved { channel, user_id: Arc::clone(user_id) },
            None => Event::ChannelVacated { channel },
        }
    }
}

/// What begins and ends counts against the share of its application.
impl Owned for Span {
    type Owner = AppId;

    fn owner(&self) -> &AppId {
        &self.app
    }
}

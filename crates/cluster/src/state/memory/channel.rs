//! One occupied channel.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU64;
use std::sync::Arc;

use super::connections::Connections;
use crate::{ChannelCounts, Member, StateError, SubscriberId};

/// Who is in a channel. One without members costs 24 bytes while it has one connection.
#[derive(Debug)]
pub(super) enum Channel {
    /// Nobody has joined as a member.
    Plain(Connections),
    /// At least one connection has; stays so until the channel is vacated.
    Presence(Box<Presence>),
}

/// The users of a channel beside its connections.
#[derive(Debug, Default)]
pub(super) struct Presence {
    /// Whose each connection is, so that a leave needs to name the connection alone.
    connections: HashMap<SubscriberId, Option<Place>>,
    /// In the order of their first joining.
    users: BTreeMap<Place, User>,
    places: HashMap<Arc<str>, Place>,
    last_place: u64,
}

/// A user's place in the order of joining; never given twice while the channel is occupied.
type Place = NonZeroU64;

#[derive(Debug)]
struct User {
    member: Member,
    connections: usize,
}

/// What a join or a leave did to a channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    /// The connection came or went; false where that was so already.
    pub(super) connection: bool,
    /// A user came or went with it.
    pub(super) member: bool,
}

impl Default for Channel {
    fn default() -> Self {
        Self::Plain(Connections::None)
    }
}

// === impl Channel ===

impl Channel {
    pub(super) fn counts(&self) -> ChannelCounts {
        let (connections, users) = match self {
            Self::Plain(connections) => (connections.len(), 0),
            Self::Presence(presence) => (presence.connections.len(), presence.users.len()),
        };
        ChannelCounts { subscription_count: connections as u64, user_count: users as u64 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.counts().subscription_count == 0
    }

    pub(super) fn members(&self) -> Vec<Member> {
        match self {
            Self::Plain(_) => Vec::new(),
            Self::Presence(presence) => presence.users.values().map(|user| user.member.clone()).collect(),
        }
    }

    /// Adds a connection. A user who would be one too many changes nothing.
    pub(super) fn join(
        &mut self,
        connection: SubscriberId,
        member: Option<Member>,
        members_max: usize,
    ) -> Result<Change, StateError> {
        match (&mut *self, member) {
            (Self::Plain(connections), None) => {
                Ok(Change { connection: connections.insert(connection), member: false })
            }
            (Self::Plain(connections), Some(member)) => {
                let connections = connections.iter().map(|connection| (connection, None)).collect();
                let mut presence = Presence { connections, ..Presence::default() };
                let change = presence.join(connection, Some(member), members_max)?;
                if change.member {
                    *self = Self::Presence(Box::new(presence));
                }
                Ok(change)
            }
            (Self::Presence(presence), member) => presence.join(connection, member, members_max),
        }
    }

    /// Takes a connection out.
    pub(super) fn leave(&mut self, connection: SubscriberId) -> Change {
        match self {
            Self::Plain(connections) => Change { connection: connections.remove(connection), member: false },
            Self::Presence(presence) => presence.leave(connection),
        }
    }
}

// === impl Presence ===

impl Presence {
    fn join(
        &mut self,
        connection: SubscriberId,
        member: Option<Member>,
        members_max: usize,
    ) -> Result<Change, StateError> {
        if self.connections.contains_key(&connection) {
            return Ok(Change::default());
        }
        let Some(member) = member else {
            self.connections.insert(connection, None);
            return Ok(Change { connection: true, member: false });
        };
        let known = self.places.get(&member.user_id).copied();
        let place = match known {
            Some(place) => place,
            None if self.users.len() >= members_max => return Err(StateError::MembersFull { members_max }),
            None => self.add(member),
        };
        if let Some(user) = self.users.get_mut(&place) {
            user.connections += 1;
        }
        self.connections.insert(connection, Some(place));
        Ok(Change { connection: true, member: known.is_none() })
    }

    fn add(&mut self, member: Member) -> Place {
        self.last_place += 1;
        let place = Place::MIN.saturating_add(self.last_place - 1);
        self.places.insert(member.user_id.clone(), place);
        self.users.insert(place, User { member, connections: 0 });
        place
    }

    fn leave(&mut self, connection: SubscriberId) -> Change {
        let Some(place) = self.connections.remove(&connection) else {
            return Change::default();
        };
        let mut change = Change { connection: true, member: false };
        if let Some(place) = place
            && let Some(user) = self.users.get_mut(&place)
        {
            user.connections -= 1;
            if user.connections == 0 {
                self.places.remove(&user.member.user_id);
                self.users.remove(&place);
                change.member = true;
            }
        }
        change
    }
}

//! A set of connections that is small while it has one.

use std::collections::HashSet;

use crate::SubscriberId;

/// Most channels and most users have a single connection, so that one is kept in place: 24 bytes and no
/// allocation.
#[derive(Debug, Default)]
pub(super) enum Connections {
    #[default]
    None,
    One(SubscriberId),
    #[expect(clippy::box_collection, reason = "in place, a set would make the other variants twice as large")]
    Many(Box<HashSet<SubscriberId>>),
}

impl Connections {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::None => 0,
            Self::One(_) => 1,
            Self::Many(set) => set.len(),
        }
    }

    /// Whether the connection was not in before.
    pub(super) fn insert(&mut self, connection: SubscriberId) -> bool {
        match self {
            Self::None => *self = Self::One(connection),
            Self::One(only) if *only == connection => return false,
            Self::One(only) => *self = Self::Many(Box::new(HashSet::from([*only, connection]))),
            Self::Many(set) => return set.insert(connection),
        }
        true
    }

    /// Whether the connection was in before.
    pub(super) fn remove(&mut self, connection: SubscriberId) -> bool {
        match self {
            Self::One(only) if *only == connection => {
                *self = Self::None;
                true
            }
            Self::None | Self::One(_) => false,
            Self::Many(set) => {
                let removed = set.remove(&connection);
                if set.len() <= 1 {
                    *self = set.iter().next().map_or(Self::None, |only| Self::One(*only));
                } else {
                    shrink(set);
                }
                removed
            }
        }
    }

    /// The connections, in no order.
    pub(super) fn iter(&self) -> Box<dyn Iterator<Item = SubscriberId> + '_> {
        match self {
            Self::None => Box::new(std::iter::empty()),
            Self::One(only) => Box::new(std::iter::once(*only)),
            Self::Many(set) => Box::new(set.iter().copied()),
        }
    }
}

/// Gives memory back once a set has lost most of what it held; the factors between growing and shrinking keep
/// a set that goes up and down by little from doing either.
pub(super) fn shrink(set: &mut HashSet<SubscriberId>) {
    const WORTHWHILE: usize = 256;
    if set.capacity() >= WORTHWHILE && set.len() < set.capacity() / 8 {
        set.shrink_to(set.len() * 2);
    }
}

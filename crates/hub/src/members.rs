//! The subscribers of one topic.

use std::sync::Arc;

use courant_cluster::{MessageId, SubscriberId};
use courant_wire::Sink;

/// A subscriber and where its frames go.
#[derive(Clone)]
pub(crate) struct Member {
    pub(crate) id: SubscriberId,
    /// How many messages the topic had taken when the subscriber joined: only later ones are for it.
    pub(crate) since: u64,
    /// A message that the subscriber was given when it joined, so that it does not get it twice.
    pub(crate) skip: Option<MessageId>,
    pub(crate) sink: Arc<dyn Sink>,
}

/// Subscribers in slots that do not move while they are subscribed.
///
/// A fan-out reads the slots in slices and lets go of the lock between them. If leaving moved somebody else's slot,
/// that subscriber could be passed over or served twice; so a leave empties its slot, and a later join fills it.
#[derive(Default)]
pub(crate) struct Members {
    slots: Vec<Option<Member>>,
    free: Vec<u32>,
    /// Messages taken so far.
    pub(crate) taken: u64,
}

impl Members {
    pub(crate) fn insert(&mut self, member: Member) -> u32 {
        match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = Some(member);
                slot
            }
            None => {
                if self.slots.is_empty() {
                    // Most topics have one subscriber; the usual first growth is to four.
                    self.slots.reserve_exact(1);
                }
                self.slots.push(Some(member));
                (self.slots.len() - 1) as u32
            }
        }
    }

    pub(crate) fn remove(&mut self, slot: u32) {
        if let Some(place) = self.slots.get_mut(slot as usize)
            && place.take().is_some()
        {
            self.free.push(slot);
        }
        // The tail can go at once: no slot that stays is moved by it.
        if self.slots.len() > 64 && self.free.len() > self.slots.len() / 2 {
            while matches!(self.slots.last(), Some(None)) {
                self.slots.pop();
            }
            let end = self.slots.len() as u32;
            self.free.retain(|slot| *slot < end);
            self.slots.shrink_to(self.slots.len() * 2);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Copies the members of the next `count` slots from `start` on; answers where the following slice starts, or
    /// `None` behind the last.
    pub(crate) fn slice(&self, start: usize, count: usize, into: &mut Vec<Member>) -> Option<usize> {
        let end = self.slots.len().min(start.saturating_add(count));
        into.extend(self.slots.get(start..end).unwrap_or_default().iter().flatten().cloned());
        (end < self.slots.len()).then_some(end)
    }
}

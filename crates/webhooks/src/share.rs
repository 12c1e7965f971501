//! How a bound is shared, so that whoever needs most does not leave nothing to the others.

use std::collections::HashMap;
use std::hash::Hash;

#[cfg(test)]
mod tests;

/// Whether one of so many sharers, who holds `own` of the `used`, may take another.
///
/// One may hold as much as is still free, so the greediest leaves half to the others, the next a quarter or more, and
/// so on. An equal share is never denied while there is any room.
pub(crate) fn fits(own: usize, used: usize, max: usize, sharers: usize) -> bool {
    let free = max.saturating_sub(used);
    free > 0 && (own < max / sharers.max(1) || own < free)
}

/// Something that counts against its owner's share.
pub(crate) trait Owned {
    type Owner: Clone + Eq + Hash;

    fn owner(&self) -> &Self::Owner;
}

/// A bound that owners share, and how much of it each holds.
#[derive(Debug)]
pub(crate) struct Shares<O> {
    max: usize,
    /// How many owners there can be, whether or not they hold anything now.
    sharers: usize,
    used: usize,
    /// Only those that hold something.
    held: HashMap<O, usize>,
}

// === impl Shares ===

impl<O: Clone + Eq + Hash> Shares<O> {
    /// A bound that one owner may use up.
    pub(crate) fn new(max: usize) -> Self {
        Self { max, sharers: 1, used: 0, held: HashMap::new() }
    }

    pub(crate) fn share_among(&mut self, sharers: usize) {
        self.sharers = sharers;
    }

    /// Whether an owner may hold another.
    pub(crate) fn has_room(&self, owner: &O) -> bool {
        fits(self.held(owner), self.used, self.max, self.sharers)
    }

    /// Counts one, whether or not there is room: what a log holds is taken over.
    pub(crate) fn count_in(&mut self, owner: &O) {
        self.used += 1;
        match self.held.get_mut(owner) {
            Some(held) => *held += 1,
            None => drop(self.held.insert(owner.clone(), 1)),
        }
    }

    /// Counts one out that was counted in.
    pub(crate) fn count_out(&mut self, owner: &O) {
        let Some(held) = self.held.get_mut(owner) else { return };
        self.used -= 1;
        *held -= 1;
        if *held == 0 {
            self.held.remove(owner);
        }
    }

    fn held(&self, owner: &O) -> usize {
        self.held.get(owner).copied().unwrap_or(0)
    }
}

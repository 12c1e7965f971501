//! Which messages of a lane have come: count, order and duplicates, in constant memory.

/// How many messages back a repeated one is still recognised.
const WINDOW: u64 = 64;

/// The messages that one subscriber has had from one lane of its channel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Ledger {
    /// One past the highest sequence number seen.
    next: u64,
    /// Bit `i` says whether `next - 1 - i` has come.
    recent: u64,
    /// Distinct messages received.
    received: u32,
}

/// What a message that came is, given those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// In its place, or past a gap that may yet be filled.
    Next,
    /// For the first time, but after a later one: the order was broken.
    Late,
    /// Again.
    Duplicate,
}

impl Ledger {
    /// Enters message number `sequence`.
    pub(crate) fn enter(&mut self, sequence: u32) -> Arrival {
        let sequence = u64::from(sequence);
        if sequence >= self.next {
            let step = sequence - self.next + 1;
            self.recent = if step >= WINDOW { 1 } else { self.recent << step | 1 };
            self.next = sequence + 1;
            self.received += 1;
            return Arrival::Next;
        }
        let back = self.next - 1 - sequence;
        // Too far back to tell: whatever it is, the order was broken.
        if back >= WINDOW {
            return Arrival::Late;
        }
        if self.recent & (1 << back) != 0 {
            return Arrival::Duplicate;
        }
        self.recent |= 1 << back;
        self.received += 1;
        Arrival::Late
    }

    /// Distinct messages received.
    pub(crate) fn received(&self) -> u32 {
        self.received
    }
}

#[cfg(test)]
mod tests;

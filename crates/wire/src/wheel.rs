//! One-second timers for a great many connections: a hashed timer wheel.

use std::sync::Weak;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::task::yield_now;
use tokio::time::{MissedTickBehavior, interval};

use crate::Tick;

/// Timers that fire, or are kept for a later round, before other tasks get their turn. Also the size of the pieces
/// that a slot grows by, so that no insertion has to move more than this under the slot's lock.
const SLICE: usize = 512;

/// Something with a timer.
pub trait Timed: Send + Sync {
    /// Its time has come. Answers after what time it wants to be called again, none if never.
    ///
    /// Called by the wheel's task: it must be quick and not wait.
    fn fire(&self, now: Tick) -> Option<Duration>;
}

/// A wheel of slots of one second each.
///
/// A timer costs 24 bytes and no task. There is no removal: what is dropped is forgotten when its slot comes up, so
/// a timer's owner must not be kept alive by its timer. Timers are never early, and late by at most a second as
/// long as the wheel turns in time. After a time in which it did not turn (a suspended machine) each timer that
/// became due fires once.
pub struct Wheel {
    /// The second that has been reached.
    now: AtomicU32,
    /// A timer is in the slot of its deadline modulo the number of slots, with those of other rounds.
    slots: Box<[Mutex<Slot>]>,
}

/// Timers in pieces of up to `SLICE`, in no order.
#[derive(Default)]
struct Slot {
    pieces: Vec<Vec<Timer>>,
}

struct Timer {
    target: Weak<dyn Timed>,
    deadline: Tick,
}

impl Wheel {
    /// A wheel with this many slots, at least one, that begins now. Timers longer than this many seconds are looked
    /// at once a round.
    pub fn new(slots: usize) -> Self {
        let slots = (0..slots.max(1)).map(|_| Mutex::default()).collect();
        Self { now: AtomicU32::new(Tick::now().0), slots }
    }

    /// The second that the wheel has reached.
    pub fn now(&self) -> Tick {
        Tick(self.now.load(Ordering::Acquire))
    }

    /// Fires `target` once `after` has passed, and again after what it then answers. Takes whole seconds; a part of
    /// one counts as one.
    pub fn insert(&self, target: Weak<dyn Timed>, after: Duration) {
        // The second at hand has partly passed, so it does not count: a timer is never early.
        self.insert_in(target, whole_seconds(after).saturating_add(1));
    }

    fn insert_in(&self, target: Weak<dyn Timed>, seconds: u32) {
        loop {
            let deadline = Tick(self.now().0.saturating_add(seconds.max(1)));
            let mut slot = self.slot(deadline).lock();
            // The wheel moves before it empties a slot. If it has not passed the deadline now that the slot is
            // locked, it will still find the timer; otherwise the timer would lie there for a whole round.
            if self.now() < deadline || deadline.0 == u32::MAX {
                slot.push(Timer { target, deadline });
                return;
            }
        }
    }

    /// Turns the wheel by the clock, for ever.
    pub async fn run(&self) {
        let mut seconds = interval(Duration::from_secs(1));
        seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            seconds.tick().await;
            self.advance_to(Tick::now()).await;
        }
    }

    /// Turns the wheel by one second, whatever the clock says. For tests.
    pub async fn tick(&self) {
        self.advance_to(Tick(self.now().0.saturating_add(1))).await;
    }

    /// Turns the wheel to `now` and fires what is due, in slices between which other tasks run. Only one task may
    /// turn a wheel.
    async fn advance_to(&self, now: Tick) {
        let before = self.now.swap(now.0.max(self.now().0), Ordering::AcqRel);
        // More seconds than slots: each slot once is enough.
        let first = now.0.saturating_sub(self.slots.len() as u32).max(before);
        for second in first..now.0 {
            self.turn_slot(Tick(second + 1), now).await;
        }
    }

    async fn turn_slot(&self, second: Tick, now: Tick) {
        let pieces = std::mem::take(&mut self.slot(second).lock().pieces);
        for piece in pieces {
            for timer in piece {
                self.turn_timer(timer, now);
            }
            yield_now().await;
        }
    }

    fn turn_timer(&self, timer: Timer, now: Tick) {
        if timer.deadline > now {
            // A timer that has rounds to go is dropped with its target: nothing dead lies here for longer than a round.
            if timer.target.strong_count() == 0 {
                return;
            }
            self.slot(timer.deadline).lock().push(timer);
            return;
        }
        let again = timer.target.upgrade().and_then(|target| target.fire(now));
        if let Some(after) = again {
            self.insert_in(timer.target, whole_seconds(after));
        }
    }

    fn slot(&self, second: Tick) -> &Mutex<Slot> {
        &self.slots[second.0 as usize % self.slots.len()]
    }
}

impl Slot {
    fn push(&mut self, timer: Timer) {
        match self.pieces.last_mut() {
            Some(piece) if piece.len() < SLICE => piece.push(timer),
            _ => self.pieces.push(vec![timer]),
        }
    }
}

fn whole_seconds(after: Duration) -> u32 {
    let seconds = after.as_secs().saturating_add(u64::from(after.subsec_nanos() > 0));
    u32::try_from(seconds).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;

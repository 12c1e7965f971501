//! How many connections may be closed by now.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

#[cfg(test)]
mod tests;

/// How much faster than planned a drain gets that has fallen behind, without need from its deadline.
pub const CATCH_UP: f64 = 1.1;

/// The usual time between two steps. Within it closes come together: 20 ms of a drain of 10 s is 1/500 of the
/// clients, and a timer this coarse costs nothing.
const SLICE: Duration = Duration::from_millis(20);

/// Steps are moved by up to half of their distance to either side, so that gateways that drain together do not
/// step together (as NATS' lame duck mode does).
const JITTER: std::ops::Range<f64> = 0.5..1.5;

/// Closes per second that are made however few connections there are: nobody notices one, and an operator at a
/// terminal does not wait for nothing.
const RATE_MIN: f64 = 1.0;

/// Spreads closes evenly over a time.
#[derive(Debug)]
pub struct Pacer {
    /// The most that were ever open: what the plan is made for.
    total: usize,
    duration: Duration,
    deadline: Duration,
    /// The latest time seen. Time never goes back from here.
    now: Duration,
    /// No step before this.
    wake: Duration,
    /// Closes that are due but not made, the first one from the beginning. Negative when the last step was rounded
    /// up.
    credit: f64,
    /// Closes per second, as of the last poll.
    rate: f64,
    random: StdRng,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Close this many, at least one and at most as many as are open, then poll again.
    Close(usize),
    /// Poll again after this time. Polling earlier does no harm.
    Wait(Duration),
    /// Nobody is left.
    Done,
}

/// Where a drain is in its plan, for logs and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Within the planned time.
    OnTime,
    /// The planned time is over: the caller was held up, or somebody came after the beginning.
    Late,
    /// The deadline is reached, whoever is left is closed at once.
    Overdue,
}

// === impl Pacer ===

impl Pacer {
    /// Plans to close `total` connections evenly over `duration`, and in any case by `deadline`, which is no less
    /// than `duration` unless it is to shorten it. Both count from the beginning of the drain. In less than a
    /// slice of 20 ms nothing is spread.
    ///
    /// The seed decides the jitter; it should differ between gateways.
    pub fn new(total: usize, duration: Duration, deadline: Duration, seed: u64) -> Self {
        Self {
            total,
            duration: duration.min(deadline),
            deadline,
            now: Duration::ZERO,
            wake: Duration::ZERO,
            credit: 1.0,
            rate: 0.0,
            random: StdRng::seed_from_u64(seed),
        }
    }

    /// Says what to do at `now`, when `open` connections have neither been closed by the caller nor left.
    ///
    /// `open` may fall by more than was closed, as clients leave, and even grow, as handshakes that had begun come
    /// to their end. A time before that of the last poll counts as that one.
    pub fn poll(&mut self, now: Duration, open: usize) -> Step {
        let passed = now.saturating_sub(self.now);
        self.now = self.now.max(now);
        if open == 0 {
            return Step::Done;
        }
        if self.duration <= SLICE || self.phase(self.now) == Phase::Overdue {
            return Step::Close(open);
        }
        self.total = self.total.max(open);
        self.rate = self.rate_for(open);
        // What a slice can't hold is lost: time that was slept through is not made up for at once.
        let credit_max = (JITTER.end * self.slice()).max(self.credit);
        self.credit = (self.credit + self.rate * passed.as_secs_f64()).min(credit_max);
        if self.now < self.wake {
            return Step::Wait(self.wake - self.now);
        }
        // A cast of a float saturates, so absurd numbers stay within `open`.
        let count = (self.credit.round().max(1.0) as usize).min(open);
        self.credit -= count as f64;
        self.wake = self.next_wake();
        Step::Close(count)
    }

    /// Where a drain that is not done is at `now`.
    pub fn phase(&self, now: Duration) -> Phase {
        match now.max(self.now) {
            now if now >= self.deadline => Phase::Overdue,
            now if now > self.duration => Phase::Late,
            _ => Phase::OnTime,
        }
    }

    /// The current pace, in closes per second.
    pub fn rate(&self) -> f64 {
        self.rate
    }

    fn rate_for(&self, open: usize) -> f64 {
        let open = open as f64;
        let planned_max = self.total as f64 / self.duration.as_secs_f64() * CATCH_UP;
        let left = self.left_until(self.duration);
        // The last slice is not stretched, or each step would halve what is left and the end never come.
        let even = if left > SLICE { (open / left.as_secs_f64()).min(planned_max) } else { planned_max };
        let needed = open / self.left_until(self.deadline).max(SLICE).as_secs_f64();
        even.max(RATE_MIN).max(needed)
    }

    /// How long closes can be spread until `end`. A few slices (of a short time, a part) are set aside, so that what
    /// the jitter has held back still comes before the end.
    fn left_until(&self, end: Duration) -> Duration {
        let reserve = (SLICE * 4).min(end / 8);
        end.saturating_sub(self.now).saturating_sub(reserve)
    }

    /// How many are closed in one step, at the current rate.
    fn slice(&self) -> f64 {
        (self.rate * SLICE.as_secs_f64()).max(1.0)
    }

    /// When about a slice will be due again.
    fn next_wake(&mut self) -> Duration {
        let due = self.random.random_range(JITTER) * self.slice();
        let seconds = ((due - self.credit) / self.rate).max(0.0);
        let wake = self.now + Duration::try_from_secs_f64(seconds).unwrap_or(SLICE);
        // The jitter must not carry the last step across the end of the plan, or beyond the deadline.
        let end = if self.now < self.duration { self.duration } else { self.deadline };
        wake.min(end)
    }
}

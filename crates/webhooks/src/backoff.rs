//! When a failed delivery is tried again.

use std::time::Duration;

#[cfg(test)]
mod tests;

/// Jitter takes up to this part off a wait, so that what failed together is not tried again together.
const JITTER: f64 = 0.25;

/// The waits between attempts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    pub(crate) initial: Duration,
    pub(crate) max: Duration,
    /// From the first attempt to the last.
    pub(crate) total: Duration,
}

// === impl Backoff ===

impl Backoff {
    /// How long to wait after so many failures, `elapsed` after the first attempt; `None` to give up. The last
    /// attempt is made when the total is just over. `chance` is from 0 to 1.
    pub(crate) fn wait(&self, failures: u32, elapsed: Duration, chance: f64) -> Option<Duration> {
        let left = self.total.checked_sub(elapsed).filter(|left| !left.is_zero())?;
        let doublings = failures.saturating_sub(1).min(31);
        let wait = self.initial.saturating_mul(1 << doublings).min(self.max);
        Some(wait.mul_f64(1.0 - JITTER * chance.clamp(0.0, 1.0)).min(left))
    }
}

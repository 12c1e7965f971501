//! A rate limit in sixteen bytes.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

#[cfg(test)]
mod tests;

/// How often something may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    interval: Duration,
    /// How far ahead of now the next free moment may lie: `interval * burst`.
    tolerance: Duration,
}

/// Decides whether something may happen now, for one subject.
///
/// This is the generic cell rate algorithm: the only state is the moment at which the whole burst is free again. A
/// connection holds one of these per rate, so its size matters; the quota is shared.
#[derive(Clone, Copy, Debug, Default)]
pub struct RateLimiter {
    full_at: Option<Instant>,
}

// === impl Quota ===

impl Quota {
    /// `per_second` in the long run, and at most `burst` at once.
    pub fn per_second(per_second: NonZeroU32, burst: NonZeroU32) -> Self {
        let interval = Duration::from_secs(1) / per_second.get();
        Self { interval, tolerance: interval * burst.get() }
    }
}

// === impl RateLimiter ===

impl RateLimiter {
    /// Counts one event, unless it comes too early; then nothing is counted, and the error is how long to wait.
    ///
    /// # Errors
    /// The quota is used up.
    pub fn check(&mut self, quota: &Quota, now: Instant) -> Result<(), Duration> {
        let full_at = self.full_at.unwrap_or(now).max(now) + quota.interval;
        let ahead = full_at - now;
        if ahead > quota.tolerance {
            return Err(ahead - quota.tolerance);
        }
        self.full_at = Some(full_at);
        Ok(())
    }

    /// Whether it is as good as new.
    pub fn is_idle(&self, now: Instant) -> bool {
        self.full_at.is_none_or(|full_at| full_at <= now)
    }
}

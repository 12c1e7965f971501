//! The wall clock, as receivers see it.

use std::time::{SystemTime, UNIX_EPOCH};

/// A clock set back by no more than this is believed to be a correction, and time stands still until it has caught up.
const CORRECTION_MAX_MS: u64 = 60_000;

/// Milliseconds since 1970 that do not go backwards on small corrections, since receivers order webhooks by them.
#[derive(Debug, Default)]
pub(crate) struct WallClock {
    last_ms: u64,
}

// === impl WallClock ===

impl WallClock {
    pub(crate) fn now_ms(&mut self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.advance(u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
    }

    /// A clock set back by more has been wrong before: standing still for hours would be wrong too.
    fn advance(&mut self, now_ms: u64) -> u64 {
        let is_corrected = now_ms < self.last_ms && self.last_ms - now_ms <= CORRECTION_MAX_MS;
        if !is_corrected {
            self.last_ms = now_ms;
        }
        self.last_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_corrections_hold_the_time_and_jumps_are_followed() {
        let mut clock = WallClock::default();
        let read = [100_000, 100_001, 99_000, 100_002, 10_000, 10_001, 500_000].map(|ms| clock.advance(ms));
        assert_eq!(read, [100_000, 100_001, 100_001, 100_002, 10_000, 10_001, 500_000]);
    }
}

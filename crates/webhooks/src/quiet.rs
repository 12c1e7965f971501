//! Warnings that may come by the thousand.

use std::time::Duration;

use tokio::time::Instant;

/// How long a warning is silent after it was logged.
const SILENCE: Duration = Duration::from_secs(10);

/// Lets a warning through now and then, and counts those in between.
#[derive(Debug, Default)]
pub(crate) struct Quiet {
    silent_until: Option<Instant>,
    suppressed: u64,
}

// === impl Quiet ===

impl Quiet {
    /// If the warning may be logged now: how many were not since the last.
    pub(crate) fn may_log(&mut self, now: Instant) -> Option<u64> {
        if self.silent_until.is_some_and(|until| now < until) {
            self.suppressed += 1;
            return None;
        }
        self.silent_until = Some(now + SILENCE);
        Some(std::mem::take(&mut self.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_logged_once_in_a_while_with_its_number() {
        let mut quiet = Quiet::default();
        let now = Instant::now();
        assert_eq!(quiet.may_log(now), Some(0));
        assert!((0..5).all(|_| quiet.may_log(now).is_none()));
        assert_eq!(quiet.may_log(now + SILENCE), Some(5));
        assert_eq!(quiet.may_log(now + SILENCE * 2), Some(0));
    }
}

//! A coarse clock that fits into an atomic of a connection.

use std::sync::OnceLock;
use std::time::Duration;

use tokio::time::Instant;

/// Whole seconds of a monotonic clock that starts with the process.
///
/// Follows tokio's clock, so that a test with paused time moves it. It lasts for 136 years.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tick(pub u32);

impl Tick {
    /// The second that it is now.
    pub fn now() -> Self {
        static START: OnceLock<Instant> = OnceLock::new();
        let elapsed = START.get_or_init(Instant::now).elapsed();
        Self(u32::try_from(elapsed.as_secs()).unwrap_or(u32::MAX))
    }

    /// The time from `earlier` to this tick, zero if `earlier` is not earlier.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_secs(u64::from(self.0.saturating_sub(earlier.0)))
    }
}

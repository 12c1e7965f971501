//! Whether the queue has room.

use std::time::Duration;

use tokio::time::Instant;

use crate::Settings;
use crate::lane::Lane;
use crate::quiet::Quiet;

/// Refused events that become dead letters in a second; the others are only counted, since each is a record on disk.
const REFUSED_KEPT_PER_SECOND: u32 = 100;

/// The bounds of the queue and how much of them is used.
///
/// An endpoint may hold as much as is still free, so one that is dead leaves half of the queue to the others, two
/// leave a third, and so on. An equal share is never denied while there is any room.
#[derive(Debug)]
pub(crate) struct Admission {
    events_max: usize,
    bytes_max: usize,
    events: usize,
    bytes: usize,
    warnings: Quiet,
    refused_since: Option<Instant>,
    refused_kept: u32,
}

// === impl Admission ===

impl Admission {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            events_max: settings.queue_max,
            bytes_max: settings.queue_bytes_max,
            events: 0,
            bytes: 0,
            warnings: Quiet::default(),
            refused_since: None,
            refused_kept: 0,
        }
    }

    /// Whether one of so many lanes may hold another event.
    pub(super) fn has_room(&self, lane: &Lane, lanes: usize) -> bool {
        fits(lane.events, self.events, self.events_max, lanes)
            && fits(lane.bytes, self.bytes, self.bytes_max, lanes)
    }

    pub(super) fn count_in(&mut self, events: usize, bytes: usize) {
        self.events += events;
        self.bytes += bytes;
    }

    pub(super) fn count_out(&mut self, events: usize, bytes: usize) {
        self.events -= events;
        self.bytes -= bytes;
    }

    pub(super) fn events(&self) -> usize {
        self.events
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether to log a refusal: the number of those not logged before it.
    pub(super) fn refused(&mut self, now: Instant) -> Option<u64> {
        self.warnings.may_log(now)
    }

    /// Whether a refused event becomes a dead letter.
    pub(super) fn may_keep_refused(&mut self, now: Instant) -> bool {
        let is_new_second =
            self.refused_since.is_none_or(|since| now.duration_since(since) >= Duration::from_secs(1));
        if is_new_second {
            self.refused_since = Some(now);
            self.refused_kept = 0;
        }
        self.refused_kept += 1;
        self.refused_kept <= REFUSED_KEPT_PER_SECOND
    }
}

fn fits(own: usize, used: usize, max: usize, lanes: usize) -> bool {
    let free = max.saturating_sub(used);
    free > 0 && (own < max / lanes.max(1) || own < free)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_only_endpoint_may_use_the_whole_queue() {
        assert!(fits(99, 99, 100, 1));
        assert!(!fits(100, 100, 100, 1));
    }

    #[test]
    fn one_of_many_may_hold_as_much_as_is_free() {
        assert!(fits(49, 49, 100, 10));
        assert!(!fits(50, 50, 100, 10));
        assert!(fits(0, 50, 100, 10));
    }

    #[test]
    fn an_equal_share_is_had_while_there_is_room_at_all() {
        assert!(fits(9, 99, 100, 10));
        assert!(!fits(10, 99, 100, 10));
        assert!(!fits(0, 100, 100, 10));
        assert!(!fits(0, 105, 100, 10));
    }

    #[test]
    fn dead_endpoints_one_after_another_never_take_the_last_room() {
        let (mut used, mut held) = (0, Vec::new());
        for _ in 0..9 {
            let mut own = 0;
            while fits(own, used, 1000, 1000) {
                own += 1;
                used += 1;
            }
            held.push(own);
        }
        assert_eq!(held[0], 500);
        assert!(held.iter().all(|&own| own > 0) && used < 1000, "{held:?}");
    }
}

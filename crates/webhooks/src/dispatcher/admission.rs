//! Whether the queue has room.

use std::time::Duration;

use tokio::time::Instant;

use crate::Settings;
use crate::lane::Lane;
use crate::quiet::Quiet;
use crate::share::fits;

/// Refused events that become dead letters in a second; the others are only counted, since each is a record on disk.
const REFUSED_KEPT_PER_SECOND: u32 = 100;

/// The bounds of the queue, which endpoints share, and how much of them is used.
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

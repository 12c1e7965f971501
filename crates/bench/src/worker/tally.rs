//! What a worker has received in the run at hand.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use super::own_times;
use crate::latency;
use crate::ledger::Arrival;
use crate::protocol::{Counts, Finished};
use crate::stamp::{Stamp, StampFinder};

/// Different texts kept of the server's errors; a server that words each differently fills no memory.
const REASONS_MAX: usize = 16;

/// Counters and latencies since the run began.
pub(super) struct Tally {
    run: u32,
    finder: StampFinder,
    latency_us: Histogram<u64>,
    report: Finished,
    started: (u64, u64),
}

impl Tally {
    /// Starts counting messages of `run`.
    pub(super) fn new(run: u32) -> Self {
        Self {
            run,
            finder: StampFinder::new(),
            latency_us: latency::histogram(),
            report: Finished::default(),
            started: own_times(),
        }
    }

    /// The stamp of the message in `text`, if it has one.
    #[inline]
    pub(super) fn stamp(&self, text: &[u8]) -> Option<Stamp> {
        self.finder.find(text)
    }

    /// Whether the message belongs to this run; counted if not.
    #[inline]
    pub(super) fn is_current(&mut self, stamp: &Stamp) -> bool {
        let current = stamp.run == self.run;
        self.report.stale += u64::from(!current);
        current
    }

    /// Counts a message that came at `now_ns`.
    #[inline]
    pub(super) fn arrived(&mut self, arrival: Arrival, stamp: &Stamp, now_ns: u64) {
        match arrival {
            Arrival::Next => {}
            Arrival::Late => self.report.reordered += 1,
            Arrival::Duplicate => {
                self.report.duplicates += 1;
                return;
            }
        }
        self.report.received += 1;
        self.report.last_receive_ns = now_ns;
        self.latency_us.saturating_record(now_ns.saturating_sub(stamp.scheduled_ns) / 1000);
    }

    /// Counts one read that brought something.
    #[inline]
    pub(super) fn read(&mut self) {
        self.report.reads += 1;
    }

    /// Counts an answered ping.
    pub(super) fn ping(&mut self) {
        self.report.pings += 1;
    }

    /// Counts an error that the server sent.
    pub(super) fn server_error(&mut self, text: &[u8]) {
        count(
            &mut self.report.server_errors,
            String::from_utf8_lossy(&text[..text.len().min(200)]).into_owned(),
        );
    }

    /// Counts a connection that ended though nobody asked it to.
    pub(super) fn lost(&mut self, reason: String) {
        count(&mut self.report.lost, reason);
    }

    /// Distinct messages received so far.
    pub(super) fn received(&self) -> u64 {
        self.report.received
    }

    /// The whole report, given how many messages never came.
    pub(super) fn finish(&self, missing: u64) -> Finished {
        let (cpu_ns, run_delay_ns) = own_times();
        Finished {
            missing,
            latency_us: Counts::of(&self.latency_us),
            cpu_ns: cpu_ns - self.started.0,
            run_delay_ns: run_delay_ns.saturating_sub(self.started.1),
            ..self.report.clone()
        }
    }
}

/// Adds one to `reason`, or to "other" once there are many reasons.
pub(super) fn count(reasons: &mut BTreeMap<String, u64>, reason: String) {
    let reason = if reasons.len() < REASONS_MAX || reasons.contains_key(&reason) {
        reason
    } else {
        "other".to_owned()
    };
    *reasons.entry(reason).or_default() += 1;
}

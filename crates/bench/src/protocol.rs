//! What the driver and its worker processes say to each other, one JSON object a line over pipes.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// From the driver to a worker. Each is answered by exactly one [`Reply`] other than progress.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub(crate) enum Command {
    /// Open every connection of the plan that is not open, and subscribe it.
    Open(OpenPlan),
    /// Forget earlier messages; from now on those of `run` are counted.
    Begin {
        /// Only messages of this run count.
        run: u32,
        /// Publishing connections.
        lanes: u16,
    },
    /// Wait for the messages that are still on their way, then report.
    Finish {
        /// Messages published, by channel and then by lane.
        expected: Vec<Vec<u32>>,
        /// How long to wait for the last of them.
        grace_ms: u64,
    },
    /// Close every connection at once.
    Close,
}

/// The connections of one worker.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct OpenPlan {
    /// The server's WebSocket address.
    pub(crate) address: SocketAddr,
    /// The request that upgrades a connection.
    pub(crate) upgrade: String,
    /// Channel names are this, a dash and a number.
    pub(crate) channel_prefix: String,
    /// Connection `i` subscribes to channel `i % channels`.
    pub(crate) channels: u32,
    /// The number of this worker's first connection.
    pub(crate) first: u32,
    /// How many connections it has.
    pub(crate) count: u32,
    /// Connections started per second; 0 is as fast as `in_flight_max` allows.
    pub(crate) rate_per_s: f64,
    /// Connections that may be between connect and subscribed at once.
    pub(crate) in_flight_max: u32,
    /// When an attempt is given up.
    pub(crate) timeout_ms: u64,
    /// Bind to 127.0.0.2 and up, so many addresses in turn; 0 leaves the choice to the kernel.
    pub(crate) source_addresses: u8,
}

/// From a worker to the driver.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub(crate) enum Reply {
    /// How far the command in hand is; not its answer.
    Progress {
        /// Connections that are subscribed now.
        subscribed: u32,
        /// Messages received since `Begin`.
        received: u64,
    },
    /// Answers `Open`.
    Opened(Opened),
    /// Answers `Finish`.
    Finished(Box<Finished>),
    /// Answers `Begin` and `Close`.
    Done,
    /// The worker can't go on.
    Failed {
        /// Why.
        error: String,
    },
}

/// What came of opening connections.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Opened {
    /// Connections that are subscribed now.
    pub(crate) subscribed: u32,
    /// Attempts that failed, by reason.
    pub(crate) failures: BTreeMap<String, u64>,
    /// From the scheduled start of a connection to its subscription, in microseconds.
    pub(crate) latency_us: Counts,
    /// From the first start to the last subscription.
    pub(crate) elapsed_ns: u64,
    /// CPU time of the worker meanwhile.
    pub(crate) cpu_ns: u64,
}

/// What a worker received since `Begin`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Finished {
    /// Distinct messages of the run.
    pub(crate) received: u64,
    /// Messages published for its connections and not received.
    pub(crate) missing: u64,
    /// Messages received again.
    pub(crate) duplicates: u64,
    /// Messages received after a later one of their lane.
    pub(crate) reordered: u64,
    /// Messages of another run.
    pub(crate) stale: u64,
    /// Connections that ended, by reason.
    pub(crate) lost: BTreeMap<String, u64>,
    /// Errors the server sent.
    pub(crate) server_errors: BTreeMap<String, u64>,
    /// Pings answered.
    pub(crate) pings: u64,
    /// From the scheduled time of a message to its receipt, in microseconds.
    pub(crate) latency_us: Counts,
    /// When the last message came.
    pub(crate) last_receive_ns: u64,
    /// Reads that brought messages: how well the server batches.
    pub(crate) reads: u64,
    /// CPU time of the worker since `Begin`.
    pub(crate) cpu_ns: u64,
    /// Time it was ready to run and had no core, since `Begin`.
    pub(crate) run_delay_ns: u64,
}

/// The buckets of a histogram that are not empty: value and count.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts(Vec<(u64, u64)>);

impl Counts {
    /// Takes the buckets of `histogram`.
    pub(crate) fn of(histogram: &Histogram<u64>) -> Self {
        Self(histogram.iter_recorded().map(|at| (at.value_iterated_to(), at.count_at_value())).collect())
    }

    /// Adds these counts to `histogram`.
    pub(crate) fn add_to(&self, histogram: &mut Histogram<u64>) {
        for &(value, count) in &self.0 {
            histogram.saturating_record_n(value, count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::latency;

    #[test]
    fn a_histogram_survives_the_pipe() {
        let mut histogram = latency::histogram();
        for value in [1, 1, 50, 999, 123_456, 9_999_999] {
            histogram.saturating_record(value);
        }
        let line = serde_json::to_string(&Counts::of(&histogram)).unwrap();
        let mut copy = latency::histogram();
        serde_json::from_str::<Counts>(&line).unwrap().add_to(&mut copy);
        assert_eq!(copy, histogram);
    }
}

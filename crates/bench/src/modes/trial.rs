//! One stretch of publishing to subscribers, measured and checked.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::Session;
use super::costs::{Costs, Meter, WorkerTimes};
use super::report::{Table, latency_cell};
use crate::args::seconds;
use crate::fleet::{FinishedAll, Fleet};
use crate::latency::Quantiles;
use crate::publisher::{Pace, Published, Publisher, Work};

/// A stretch of publishing, and all that came of it.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Trial {
    /// Requests that were due per second; absent if as many as possible were sent.
    pub(super) offered_per_s: Option<f64>,
    /// Requests accepted per second.
    pub(super) accepted_per_s: f64,
    /// Messages accepted per second: a batch has several.
    pub(super) messages_per_s: f64,
    /// Messages delivered to subscribers per second.
    pub(super) deliveries_per_s: f64,
    /// Messages delivered.
    pub(super) delivered: u64,
    /// Messages that never came.
    pub(super) missing: u64,
    /// Messages that came again.
    pub(super) duplicates: u64,
    /// Messages that came after a later one of the same publisher.
    pub(super) reordered: u64,
    /// Requests that were due and not accepted.
    pub(super) requests_lost: u64,
    /// Why requests failed.
    pub(super) request_failures: BTreeMap<String, u64>,
    /// Why connections ended.
    pub(super) connections_lost: BTreeMap<String, u64>,
    /// Errors the server sent to subscribers.
    pub(super) server_errors: BTreeMap<String, u64>,
    /// From due to received.
    pub(super) delivery: Quantiles,
    /// From due to the answer of the HTTP request.
    pub(super) answer: Quantiles,
    /// Requests that were due while all lanes waited for an answer.
    pub(super) requests_waited: u64,
    /// From due to sent: what of the latency is the generator's, or busy lanes.
    pub(super) send_lag: Quantiles,
    /// The server's CPU time for each delivery.
    pub(super) server_us_per_delivery: f64,
    /// The server's CPU time for each accepted message.
    pub(super) server_us_per_message: f64,
    /// Messages in each read of a subscriber: above 1, the server writes several at once.
    pub(super) messages_per_read: f64,
    /// CPU time.
    pub(super) costs: Costs,
}

/// What to publish.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stretch<'a> {
    /// When requests are due.
    pub(super) pace: Pace,
    /// For how long.
    pub(super) duration: Duration,
    /// Channels in turn.
    pub(super) channels: &'a [String],
    /// Events in a request.
    pub(super) batch: u32,
}

/// Publishes a stretch and waits for its messages.
///
/// # Errors
/// If the generator fails; what the server does wrong is in the trial.
pub(super) fn measure(
    session: &mut Session<'_>,
    fleet: &mut Fleet,
    publisher: &mut Publisher,
    stretch: &Stretch<'_>,
) -> anyhow::Result<Trial> {
    let run = session.next_run();
    let Stretch { pace, duration, channels, batch } = *stretch;
    let grace = seconds(session.common.grace);
    fleet.begin(run, publisher.lanes())?;
    let meter = Meter::start(&session.server);
    let work = Work { run, pace, duration, channels, batch, grace };
    let published = publisher.publish(&work, &mut |sent| {
        session.progress.tell(&format!("{sent} requests sent, {} messages received", fleet.received()));
    })?;
    let finished = fleet.finish(&published.messages, grace)?;
    let workers = WorkerTimes {
        cpu_ns: finished.sums.cpu_ns,
        cpu_ns_max: finished.cpu_ns_max,
        run_delay_ns: finished.sums.run_delay_ns,
    };
    Ok(Trial::of(pace, duration, &published, finished, meter.stop(&session.server, workers)))
}

impl Trial {
    fn of(
        pace: Pace,
        duration: Duration,
        published: &Published,
        finished: FinishedAll,
        costs: Costs,
    ) -> Self {
        let sums = finished.sums;
        // What is done before the stretch ends does not make it faster than it was planned.
        let planned_end_ns = published.started_ns + duration.as_nanos() as u64;
        let per_s = |count: u64, end_ns: u64| {
            count as f64 * 1e9 / (end_ns.max(planned_end_ns) - published.started_ns).max(1) as f64
        };
        Self {
            offered_per_s: match pace {
                Pace::PerSecond(rate) => Some(rate),
                Pace::Saturated => None,
            },
            accepted_per_s: per_s(published.accepted, published.ended_ns),
            messages_per_s: per_s(published.accepted_messages(), published.ended_ns),
            deliveries_per_s: per_s(sums.received, sums.last_receive_ns),
            delivered: sums.received,
            missing: sums.missing,
            duplicates: sums.duplicates,
            reordered: sums.reordered,
            requests_lost: published.lost(),
            request_failures: published.failures.clone(),
            connections_lost: sums.lost,
            server_errors: sums.server_errors,
            delivery: Quantiles::of(&finished.latency_us),
            answer: Quantiles::of(&published.latency_us),
            requests_waited: published.waited,
            send_lag: Quantiles::of(&published.lag_us),
            server_us_per_delivery: costs.server_us_per(sums.received),
            server_us_per_message: costs.server_us_per(published.accepted_messages()),
            messages_per_read: sums.received as f64 / sums.reads.max(1) as f64,
            costs,
        }
    }

    /// What casts doubt on the figures.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = self.costs.notes();
        let lag_ms = self.send_lag.p99_ms;
        let mostly_lag = lag_ms > 1.0 && lag_ms > self.delivery.p99_ms / 2.0;
        // A request that waited for a lane waited for the server; one that did not, for this program.
        if self.offered_per_s.is_some() && mostly_lag && self.requests_waited * 100 < self.send_lag.count {
            notes.push(format!("the load generator sent late: of p99 {lag_ms:.1} ms are its own"));
        }
        notes
    }

    /// Everything that was wrong, if anything was.
    pub(super) fn failures(&self) -> Vec<String> {
        let mut failures = self.broken_promises();
        for (count, what) in
            [(self.missing, "messages never came"), (self.requests_lost, "requests were not accepted")]
        {
            if count > 0 {
                failures.push(format!("{count} {what}"));
            }
        }
        for (what, reasons) in [
            ("requests failed", &self.request_failures),
            ("connections were lost", &self.connections_lost),
            ("errors came from the server", &self.server_errors),
        ] {
            failures.extend(reasons.iter().map(|(reason, count)| format!("{count} {what}: {reason}")));
        }
        failures
    }

    /// What not even an overloaded server may do.
    pub(super) fn broken_promises(&self) -> Vec<String> {
        [(self.duplicates, "messages came again"), (self.reordered, "messages came out of order")]
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect()
    }

    /// Whether the server kept up: nothing was lost, the rate was reached, and 99 % came in `p99_max_ms`.
    pub(super) fn is_sustained(&self, p99_max_ms: f64) -> bool {
        let offered = self.offered_per_s.unwrap_or(0.0);
        self.failures().is_empty()
            && self.delivery.p99_ms <= p99_max_ms
            && self.accepted_per_s >= 0.97 * offered
    }
}

impl Table for Trial {
    fn rows(&self) -> Vec<(&'static str, String)> {
        let offered =
            self.offered_per_s.map_or("as fast as possible".to_owned(), |rate| format!("{rate:.1} offered"));
        let checks = format!(
            "{} missing, {} repeated, {} out of order, {} requests lost",
            self.missing, self.duplicates, self.reordered, self.requests_lost
        );
        vec![
            ("requests/s", format!("{:.1} accepted, {offered}", self.accepted_per_s)),
            ("messages/s", format!("{:.1}", self.messages_per_s)),
            ("deliveries/s", format!("{:.0}  ({:.1} a read)", self.deliveries_per_s, self.messages_per_read)),
            ("delivery latency", latency_cell(&self.delivery)),
            ("answer latency", latency_cell(&self.answer)),
            (
                "of it send lag",
                format!("{}; {} waited for a lane", latency_cell(&self.send_lag), self.requests_waited),
            ),
            (
                "server CPU",
                format!(
                    "{:.2} us/delivery, {:.1} us/message",
                    self.server_us_per_delivery, self.server_us_per_message
                ),
            ),
            ("cores", self.costs.cell()),
            ("checks", checks),
        ]
    }
}

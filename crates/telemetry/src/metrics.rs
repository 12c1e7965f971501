//! Every metric of a gateway, defined in one table.
//!
//! The table in `catalogue.rs` generates the fields of [`Metrics`], [`CATALOGUE`] and `docs/metrics.md`, so a
//! metric cannot exist without a description, and dashboards can be checked against it.
//!
//! # Cost
//!
//! A field is resolved when [`Metrics::new`] registers it: a plain counter is one relaxed atomic addition, a
//! counter [`by`](CounterBy) a closed label set is an array access more. Nothing hashes a label or takes a
//! lock, except [`ConnectionsByApp::of`], whose result is to be kept.
//!
//! Even so, one atomic shared by all cores is too much for each of a million deliveries a second. What is
//! marked [`Moves::PerDelivery`] is to be added up by the worker that delivers and written once per batch:
//! counters with `inc_by`, histograms with [`observe_many`](BulkHistogram::observe_many).
//!
//! ```
//! use courant_telemetry::{Metrics, metrics::labels::RejectReason};
//!
//! let metrics = Metrics::new();
//! metrics.connections_rejected.of(RejectReason::UnknownApp).inc();
//! metrics.deliveries.inc_by(1_000);
//! metrics.delivery_latency.observe_many(0.000_4, 1_000);
//! assert!(metrics.render().contains("courant_deliveries_total 1000"));
//! ```

pub mod buckets;
mod bulk;
mod catalogue;
mod instrument;
pub mod labels;
mod process;
mod reference;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use parking_lot::Mutex;
use prometheus::{Registry, TextEncoder};

pub use bulk::BulkHistogram;
pub use catalogue::{CATALOGUE, Metrics};
pub use instrument::{BuildInfo, ConnectionsByApp, CounterBy, CounterBy2, HistogramBy};
pub use prometheus::{Counter, Histogram, IntCounter, IntGauge};
pub use reference::reference_markdown;

use buckets::Buckets;

/// The content type of [`Metrics::render`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// One metric as the catalogue describes it.
#[derive(Clone, Copy, Debug)]
pub struct MetricInfo {
    /// The name that Prometheus stores, with the unit and `_total` where the conventions want them.
    pub name: &'static str,
    /// Counter, gauge or histogram.
    pub kind: Kind,
    /// The names of its labels, in the order of their values.
    pub labels: &'static [&'static str],
    /// What one step of the value means.
    pub unit: Unit,
    /// How often it changes, which decides how it may be written.
    pub moves: Moves,
    /// The buckets of a histogram.
    pub buckets: Option<&'static Buckets>,
    /// What it counts, in a sentence.
    pub help: &'static str,
}

/// The type of a metric in Prometheus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, until the process restarts.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts observations in buckets.
    Histogram,
}

/// What one step of a value means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Seconds, with fractions.
    Seconds,
    /// Things, named by the metric.
    Count,
    /// One while a statement is true, else zero.
    Flag,
}

/// How often a metric changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moves {
    /// Up to once for each frame to each subscriber: add up, and write once per batch.
    PerDelivery,
    /// Once for each message or publish that comes in.
    PerMessage,
    /// A few times in the life of a connection.
    PerConnection,
    /// Once for each HTTP request or webhook attempt.
    PerRequest,
    /// On events that an operator causes or wants to hear of.
    Rarely,
    /// Read when somebody looks.
    AtScrape,
}

/// What belongs to all metrics together.
struct Exposition {
    registry: Registry,
    /// One scrape at a time: the process figures are read in place, and a scraper that hammers the port must
    /// not make several cores sort the same families.
    scrape: Mutex<()>,
}

// === impl Metrics ===

impl Metrics {
    /// Registers the whole catalogue in a registry of its own. One per process; tests make as many as they like.
    pub fn new() -> Arc<Self> {
        let registry = Registry::new();
        let metrics = Self::register(Exposition { registry, scrape: Mutex::new(()) });
        Arc::new(metrics)
    }

    /// All metrics in the text format 0.0.4 ([`CONTENT_TYPE`]). Takes well under a millisecond, with some reads
    /// of `/proc`.
    pub fn render(&self) -> String {
        let _one_at_a_time = self.exposition.scrape.lock();
        process::refresh(self);
        let mut text = String::with_capacity(32 << 10);
        // The encoder fails only on a family without samples, and a registry never gathers one.
        if let Err(error) = TextEncoder::new().encode_utf8(&self.exposition.registry.gather(), &mut text) {
            tracing::error!(%error, "metrics can't be encoded");
        }
        text
    }
}

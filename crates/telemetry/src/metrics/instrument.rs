//! The types that fields of [`Metrics`](super::Metrics) have.

use std::collections::HashSet;
use std::marker::PhantomData;
use std::sync::OnceLock;

use parking_lot::Mutex;
use prometheus::core::Collector;
use prometheus::{
    Counter, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry,
};

use super::bulk::BulkHistogram;
use super::labels::{Label, Transport};
use super::{Kind, MetricInfo};

/// What can be a field of [`Metrics`](super::Metrics).
pub(super) trait Instrument: Sized {
    const KIND: Kind;
    const LABELS: &'static [&'static str] = &[];

    fn register(info: &MetricInfo, registry: &Registry) -> Self;
}

/// A counter for each value of a closed set. All values are exposed from the start, at zero, so that rates and
/// alerts see the first event.
#[derive(Debug)]
pub struct CounterBy<L> {
    counters: Box<[IntCounter]>,
    label: PhantomData<L>,
}

/// A counter for each pair of two closed sets. A pair is exposed once it was used: most pairs never are.
#[derive(Debug)]
pub struct CounterBy2<A, B> {
    family: IntCounterVec,
    counters: Box<[OnceLock<IntCounter>]>,
    labels: PhantomData<(A, B)>,
}

/// A histogram for each value of a closed set, exposed once it was used.
#[derive(Debug)]
pub struct HistogramBy<L> {
    family: HistogramVec,
    histograms: Box<[OnceLock<Histogram>]>,
    label: PhantomData<L>,
}

/// Connections by app and transport. Apps come from the configuration, which may hold thousands; the first
/// [`APPS_MAX`](Self::APPS_MAX) that are seen have series of their own, the others share the app `other`.
#[derive(Debug)]
pub struct ConnectionsByApp {
    family: IntGaugeVec,
    /// Ids with series of their own. Written when an app is first seen, never per connection.
    apps: Mutex<HashSet<String>>,
}

/// The constant 1, with what this build is as labels.
#[derive(Debug)]
pub struct BuildInfo {
    _family: IntGaugeVec,
}

// === impl CounterBy ===

impl<L: Label> CounterBy<L> {
    /// The counter of one value.
    pub fn of(&self, label: L) -> &IntCounter {
        &self.counters[label.index()]
    }
}

impl<L: Label> Instrument for CounterBy<L> {
    const KIND: Kind = Kind::Counter;
    const LABELS: &'static [&'static str] = &[L::NAME];

    fn register(info: &MetricInfo, registry: &Registry) -> Self {
        let family = registered(registry, IntCounterVec::new(opts(info), info.labels));
        let counters = L::VALUES.iter().map(|value| family.with_label_values(&[value])).collect();
        Self { counters, label: PhantomData }
    }
}

// === impl CounterBy2 ===

impl<A: Label, B: Label> CounterBy2<A, B> {
    /// The counter of one pair.
    pub fn of(&self, a: A, b: B) -> &IntCounter {
        let cell = &self.counters[a.index() * B::VALUES.len() + b.index()];
        cell.get_or_init(|| self.family.with_label_values(&[a.as_str(), b.as_str()]))
    }
}

impl<A: Label, B: Label> Instrument for CounterBy2<A, B> {
    const KIND: Kind = Kind::Counter;
    const LABELS: &'static [&'static str] = &[A::NAME, B::NAME];

    fn register(info: &MetricInfo, registry: &Registry) -> Self {
        let family = registered(registry, IntCounterVec::new(opts(info), info.labels));
        let counters = (0..A::VALUES.len() * B::VALUES.len()).map(|_| OnceLock::new()).collect();
        Self { family, counters, labels: PhantomData }
    }
}

// === impl HistogramBy ===

impl<L: Label> HistogramBy<L> {
    /// The histogram of one value.
    pub fn of(&self, label: L) -> &Histogram {
        self.histograms[label.index()].get_or_init(|| self.family.with_label_values(&[label.as_str()]))
    }
}

impl<L: Label> Instrument for HistogramBy<L> {
    const KIND: Kind = Kind::Histogram;
    const LABELS: &'static [&'static str] = &[L::NAME];

    fn register(info: &MetricInfo, registry: &Registry) -> Self {
        let family = registered(registry, HistogramVec::new(histogram_opts(info), info.labels));
        let histograms = L::VALUES.iter().map(|_| OnceLock::new()).collect();
        Self { family, histograms, label: PhantomData }
    }
}

// === impl ConnectionsByApp ===

impl ConnectionsByApp {
    /// How many apps have series of their own.
    pub const APPS_MAX: usize = 100;

    /// The app under which all further ones are counted.
    pub const OTHER: &'static str = "other";

    /// The gauge of an app's connections over one transport. Takes a lock and hashes: call it once per app or
    /// connection and keep the result.
    pub fn of(&self, app: &str, transport: Transport) -> IntGauge {
        let mut apps = self.apps.lock();
        let app = if apps.contains(app) {
            app
        } else if apps.len() < Self::APPS_MAX {
            apps.insert(app.to_owned());
            app
        } else {
            Self::OTHER
        };
        self.family.with_label_values(&[app, transport.as_str()])
    }
}

impl Instrument for ConnectionsByApp {
    const KIND: Kind = Kind::Gauge;
    const LABELS: &'static [&'static str] = &["app", Transport::NAME];

    fn register(info: &MetricInfo, registry: &Registry) -> Self {
        let family = registered(registry, IntGaugeVec::new(opts(info), info.labels));
        Self { family, apps: Mutex::default() }
    }
}

// === impl BuildInfo ===

impl Instrument for BuildInfo {
    const KIND: Kind = Kind::Gauge;
    const LABELS: &'static [&'static str] = &["version", "revision"];

    fn register(info: &MetricInfo, registry: &Registry) -> Self {
        let family = registered(registry, IntGaugeVec::new(opts(info), info.labels));
        // All crates of the workspace have one version; the revision is set by whoever builds an image.
        let revision = option_env!("COURANT_REVISION").unwrap_or("unknown");
        family.with_label_values(&[env!("CARGO_PKG_VERSION"), revision]).set(1);
        Self { _family: family }
    }
}

// === the plain ones ===

impl Instrument for IntCounter {
    const KIND: Kind = Kind::Counter;

    fn register(info: &MetricInfo, registry: &Registry) -> Self {
        registered(registry, Self::with_opts(opts(info)))
    }
}

impl Instrument for Counter {
    const KIND: Kind = Kind::Counter;

    fn register(info: &MetricInfo, registry: &Registry) -> Self {
        registered(registry, Self::with_opts(opts(info)))
    }
}

impl Instrument for IntGauge {
    const KIND: Kind = Kind::Gauge;

    fn register(info: &MetricInfo, registry: &Registry) -> Self {
        registered(registry, Self::with_opts(opts(info)))
    }
}

impl Instrument for Histogram {
    const KIND: Kind = Kind::Histogram;

    fn register(info: &MetricInfo, registry: &Registry) -> Self {
        registered(registry, Self::with_opts(histogram_opts(info)))
    }
}

impl Instrument for BulkHistogram {
    const KIND: Kind = Kind::Histogram;

    fn register(info: &MetricInfo, registry: &Registry) -> Self {
        let bounds = info.buckets.map_or(&[][..], |buckets| buckets.bounds);
        registered(registry, Self::new(info.name, info.help, bounds))
    }
}

fn opts(info: &MetricInfo) -> Opts {
    Opts::new(info.name, info.help)
}

fn histogram_opts(info: &MetricInfo) -> HistogramOpts {
    let buckets = info.buckets.map_or_else(Vec::new, |buckets| buckets.bounds.to_vec());
    HistogramOpts::new(info.name, info.help).buckets(buckets)
}

/// Fails only on a bad name or a name given twice, which is a mistake in the table and shows in any test.
fn registered<C: Collector + Clone + 'static>(registry: &Registry, collector: prometheus::Result<C>) -> C {
    let collector = collector.expect("a metric of the catalogue is named by the rules of Prometheus");
    registry.register(Box::new(collector.clone())).expect("a metric of the catalogue has a name of its own");
    collector
}

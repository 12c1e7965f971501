//! Latency distributions, in microseconds.

use hdrhistogram::Histogram;
use serde::Serialize;

/// Above this a latency counts as this: no run waits longer.
const LATENCY_US_MAX: u64 = 600_000_000;

/// An empty distribution from 1 us to 10 minutes, exact to three digits.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_US_MAX, 3)
        .unwrap_or_else(|_| unreachable!("the bounds are constant and legal"))
}

/// The figures that are quoted of a distribution, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(crate) struct Quantiles {
    /// Values in the distribution.
    pub(crate) count: u64,
    /// Their mean.
    pub(crate) mean_ms: f64,
    /// Half are below.
    pub(crate) p50_ms: f64,
    /// 90 % are below.
    pub(crate) p90_ms: f64,
    /// 99 % are below.
    pub(crate) p99_ms: f64,
    /// 99.9 % are below.
    pub(crate) p999_ms: f64,
    /// The highest.
    pub(crate) max_ms: f64,
}

impl Quantiles {
    /// Reads the figures off `histogram`.
    pub(crate) fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile: f64| histogram.value_at_quantile(quantile) as f64 / 1e3;
        Self {
            count: histogram.len(),
            mean_ms: histogram.mean() / 1e3,
            p50_ms: at(0.5),
            p90_ms: at(0.9),
            p99_ms: at(0.99),
            p999_ms: at(0.999),
            max_ms: histogram.max() as f64 / 1e3,
        }
    }
}

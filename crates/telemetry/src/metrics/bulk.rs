//! A histogram that takes many equal observations at the price of one.
//!
//! The latency of a delivery is known per slice of subscribers: all that get an event in one go waited equally
//! long. The prometheus crate's histogram wants them one by one, some 20 ns each; this one wants three atomic
//! operations for the slice.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus::core::{Collector, Desc};
use prometheus::proto;

#[cfg(test)]
mod tests;

/// Counts observations in buckets, many at a time. Clones share their counts.
#[derive(Clone, Debug)]
pub struct BulkHistogram {
    core: Arc<Core>,
}

#[derive(Debug)]
struct Core {
    desc: Desc,
    bounds: &'static [f64],
    /// Observations per bucket, not added up; the last one is for all above the last bound.
    counts: Box<[AtomicU64]>,
    /// The sum of all values, as the bits of an `f64`.
    sum_bits: AtomicU64,
}

impl BulkHistogram {
    pub(super) fn new(name: &str, help: &str, bounds: &'static [f64]) -> prometheus::Result<Self> {
        let desc = Desc::new(name.to_owned(), help.to_owned(), Vec::new(), Default::default())?;
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Ok(Self { core: Arc::new(Core { desc, bounds, counts, sum_bits: AtomicU64::new(0) }) })
    }

    /// Counts `count` observations of `value` each.
    pub fn observe_many(&self, value: f64, count: u64) {
        if count == 0 {
            return;
        }
        let core = &*self.core;
        let bucket = core.bounds.partition_point(|bound| *bound < value);
        core.counts[bucket].fetch_add(count, Ordering::Relaxed);
        let more = value * count as f64;
        let added = |sum_bits| Some((f64::from_bits(sum_bits) + more).to_bits());
        // The closure always gives a value, so the update can't fail.
        let _ = core.sum_bits.fetch_update(Ordering::Relaxed, Ordering::Relaxed, added);
    }

    /// Counts one observation.
    pub fn observe(&self, value: f64) {
        self.observe_many(value, 1);
    }
}

impl Collector for BulkHistogram {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.core.desc]
    }

    /// The sum may miss an observation that is counted, or hold one that is not yet: with relaxed counters that is
    /// the price of cheap observations, and it evens out at the next scrape.
    fn collect(&self) -> Vec<proto::MetricFamily> {
        let core = &*self.core;
        let mut count = 0;
        let mut buckets = Vec::with_capacity(core.bounds.len());
        for (bucket, more) in core.counts.iter().enumerate() {
            count += more.load(Ordering::Relaxed);
            if let Some(bound) = core.bounds.get(bucket) {
                let mut bucket = proto::Bucket::default();
                bucket.set_upper_bound(*bound);
                bucket.set_cumulative_count(count);
                buckets.push(bucket);
            }
        }
        let mut histogram = proto::Histogram::default();
        histogram.set_sample_count(count);
        histogram.set_sample_sum(f64::from_bits(core.sum_bits.load(Ordering::Relaxed)));
        histogram.set_bucket(buckets);
        let mut metric = proto::Metric::default();
        metric.set_histogram(histogram);
        let mut family = proto::MetricFamily::default();
        family.set_name(core.desc.fq_name.clone());
        family.set_help(core.desc.help.clone());
        family.set_field_type(proto::MetricType::HISTOGRAM);
        family.set_metric(vec![metric]);
        vec![family]
    }
}

use prometheus::{HistogramOpts, Registry, TextEncoder};
use proptest::prelude::*;

use super::*;

const BOUNDS: &[f64] = &[0.5, 1.0, 5.0];

fn text(collector: impl Collector + 'static) -> String {
    let registry = Registry::new();
    registry.register(Box::new(collector)).unwrap();
    TextEncoder::new().encode_to_string(&registry.gather()).unwrap()
}

#[test]
fn observations_from_several_threads_all_count() {
    let histogram = BulkHistogram::new("h", "help", BOUNDS).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..10_000).for_each(|_| histogram.observe_many(0.75, 2)));
        }
    });
    let text = text(histogram);
    assert!(text.contains("h_count 80000") && text.contains("h_sum 60000"), "{text}");
}

proptest! {
    #[test]
    fn it_is_exposed_like_an_ordinary_histogram(
        observed in proptest::collection::vec((proptest::sample::select(vec![0.0, 0.25, 0.5, 0.75, 1.0, 4.0, 5.0, 8.0]), 0..5u64), 0..20),
    ) {
        let bulk = BulkHistogram::new("h", "help", BOUNDS).unwrap();
        let ordinary =
            prometheus::Histogram::with_opts(HistogramOpts::new("h", "help").buckets(BOUNDS.to_vec())).unwrap();
        for (value, count) in observed {
            bulk.observe_many(value, count);
            (0..count).for_each(|_| ordinary.observe(value));
        }
        prop_assert_eq!(text(bulk), text(ordinary));
    }
}

//! The bucket boundaries of the histograms, each with the reason for its range.
//!
//! A bucket costs a time series, so ranges end where a larger value would not change what an operator does.

/// The upper bounds of a histogram's buckets, without the infinite one.
#[derive(Clone, Copy, Debug)]
pub struct Buckets {
    /// Upper bounds, ascending, in the metric's unit.
    pub bounds: &'static [f64],
    /// Why this range and these steps.
    pub why: &'static str,
}

/// From a publish to the socket.
pub const DELIVERY: Buckets = Buckets {
    bounds: &[
        0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
    ],
    why: "A delivery on an idle machine takes about 100 us; above 10 s nobody calls it real time. The step \
          at 250 ms is the bound of the delivery objective, so its ratio is exact.",
};

/// Subscribers of one publish.
pub const FANOUT: Buckets = Buckets {
    bounds: &[
        1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 2_000.0, 5_000.0, 10_000.0, 20_000.0,
        50_000.0, 100_000.0,
    ],
    why: "Sizes of channels spread over five orders of magnitude, from a private chat to a stadium, so the \
          steps are logarithmic.",
};

/// An answer of the HTTP API.
pub const HTTP: Buckets = Buckets {
    bounds: &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0],
    why: "A signed publish answers in less than 1 ms; the official SDKs give up after 5 s to 30 s, and \
          whatever exceeds 10 s has failed for most of them.",
};

/// From an event to the webhook receiver's acceptance.
pub const WEBHOOK: Buckets = Buckets {
    bounds: &[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0],
    why: "A receiver nearby answers in some 10 ms; vacated and removed events wait for a grace of 3 s first; \
          retries end after 5 minutes.",
};

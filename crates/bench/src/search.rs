//! Finding the highest rate that a server sustains: first up in steps, then between the last two by halves.

/// Attempts at a rate before it counts as too high: on a busy machine one failure means little.
const ATTEMPTS: u32 = 2;

/// How much the rate grows while every one is sustained.
const GROWTH: f64 = 1.6;

/// The search ends when the two sides are this close, as a ratio.
const PRECISION: f64 = 1.06;

/// More trials than this are never made.
const TRIALS_MAX: u32 = 40;

/// A search under way. It asks for rates and is told whether each was sustained.
#[derive(Debug)]
pub(crate) struct Search {
    /// The highest rate sustained.
    sustained: Option<f64>,
    /// The lowest rate not sustained.
    exceeded: Option<f64>,
    next: f64,
    failures: u32,
    trials: u32,
    rate_min: f64,
}

impl Search {
    /// Starts at `from`, in any unit.
    pub(crate) fn new(from: f64) -> Self {
        let from = from.max(0.1);
        Self { sustained: None, exceeded: None, next: from, failures: 0, trials: 0, rate_min: from / 1000.0 }
    }

    /// The rate to try next, or `None` when the search has ended.
    pub(crate) fn next_rate(&self) -> Option<f64> {
        let found = match (self.sustained, self.exceeded) {
            (Some(low), Some(high)) => high / low <= PRECISION,
            (None, Some(high)) => high <= self.rate_min,
            (_, None) => false,
        };
        (!found && self.trials < TRIALS_MAX).then_some(self.next)
    }

    /// Says how the trial of [`Self::next_rate`] ended.
    pub(crate) fn tried(&mut self, was_sustained: bool) {
        self.trials += 1;
        if was_sustained {
            self.sustained = Some(self.next);
        } else {
            self.failures += 1;
            if self.failures < ATTEMPTS {
                return;
            }
            self.exceeded = Some(self.next);
        }
        self.failures = 0;
        self.next = match (self.sustained, self.exceeded) {
            (Some(low), Some(high)) => (low * high).sqrt(),
            (Some(low), None) => low * GROWTH,
            (None, Some(high)) => high / 2.0,
            (None, None) => self.next,
        };
    }

    /// A rate at which the search had been wrong: what was sustained once was not when measured for longer.
    pub(crate) fn step_down(rate: f64) -> f64 {
        rate * 0.93
    }

    /// The highest rate that was sustained.
    pub(crate) fn sustained(&self) -> Option<f64> {
        self.sustained
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn find(limit: f64, from: f64) -> (Option<f64>, u32) {
        let mut search = Search::new(from);
        while let Some(rate) = search.next_rate() {
            search.tried(rate <= limit);
        }
        (search.sustained(), search.trials)
    }

    #[test]
    fn one_failure_at_a_rate_is_forgiven() {
        let mut search = Search::new(100.0);
        search.tried(false);
        assert_eq!(search.next_rate(), Some(100.0));
        search.tried(true);
        assert!(search.next_rate().is_some_and(|rate| rate > 100.0));
        search.tried(false);
        search.tried(false);
        assert!(search.next_rate().is_some_and(|rate| (100.0..160.0).contains(&rate)));
    }

    #[test]
    fn a_server_that_sustains_nothing_ends_the_search() {
        assert_eq!(find(0.0, 50.0).0, None);
    }

    #[test]
    fn a_server_without_a_limit_ends_the_search() {
        assert_eq!(find(f64::INFINITY, 50.0).1, TRIALS_MAX);
    }

    proptest! {
        #[test]
        fn the_limit_is_found_to_the_promised_precision(limit in 5.0f64..50_000.0, from in 10.0f64..1_000.0) {
            let (found, trials) = find(limit, from);
            let found = found.unwrap_or(0.0);
            prop_assert!(found <= limit && found * PRECISION >= limit * 0.999, "{} of {}", found, limit);
            prop_assert!(trials < TRIALS_MAX);
        }
    }
}

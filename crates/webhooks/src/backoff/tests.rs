use proptest::prelude::*;

use super::*;

const BACKOFF: Backoff = Backoff {
    initial: Duration::from_secs(1),
    max: Duration::from_secs(60),
    total: Duration::from_secs(300),
};

/// When attempts are made after the first, if each fails at once.
fn attempts(backoff: &Backoff, chance: f64) -> Vec<Duration> {
    let mut at = Duration::ZERO;
    let mut all = Vec::new();
    while let Some(wait) = backoff.wait(all.len() as u32 + 1, at, chance) {
        at += wait;
        all.push(at);
    }
    all
}

#[test]
fn waits_double_to_a_minute_and_the_last_attempt_is_at_five_minutes() {
    let seconds: Vec<u64> = attempts(&BACKOFF, 0.0).iter().map(Duration::as_secs).collect();
    assert_eq!(seconds, [1, 3, 7, 15, 31, 63, 123, 183, 243, 300]);
}

#[test]
fn many_failures_do_not_overflow() {
    let long = Backoff { max: Duration::MAX, total: Duration::MAX, ..BACKOFF };
    assert!(long.wait(u32::MAX, Duration::ZERO, 0.0).unwrap() >= Duration::from_secs(1 << 31));
    assert_eq!(BACKOFF.wait(u32::MAX, Duration::from_secs(1), 0.0), Some(Duration::from_secs(60)));
}

proptest! {
    #[test]
    fn every_wait_is_positive_and_at_most_the_undisturbed_one(chance in 0.0..=1.0f64) {
        let all = attempts(&BACKOFF, chance);
        prop_assert_eq!(*all.last().unwrap(), BACKOFF.total);
        prop_assert!(all.windows(2).all(|pair| pair[0] < pair[1]));
        prop_assert!((10..=14).contains(&all.len()), "{:?}", all);
    }
}

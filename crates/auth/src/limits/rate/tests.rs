use proptest::prelude::*;

use super::*;

fn quota(per_second: u32, burst: u32) -> Quota {
    Quota::per_second(NonZeroU32::new(per_second).unwrap(), NonZeroU32::new(burst).unwrap())
}

#[test]
fn a_connection_can_hold_several() {
    assert!(size_of::<RateLimiter>() <= 16);
}

#[test]
fn a_burst_is_free_and_then_it_is_the_rate() {
    let (quota, start) = (quota(10, 3), Instant::now());
    let mut limiter = RateLimiter::default();
    for _ in 0..3 {
        assert_eq!(limiter.check(&quota, start), Ok(()));
    }
    assert_eq!(limiter.check(&quota, start), Err(Duration::from_millis(100)));
    let later = start + Duration::from_millis(100);
    assert_eq!(limiter.check(&quota, later), Ok(()));
    assert!(limiter.check(&quota, later).is_err());
}

#[test]
fn refused_events_cost_nothing() {
    let (quota, start) = (quota(10, 1), Instant::now());
    let mut limiter = RateLimiter::default();
    assert_eq!(limiter.check(&quota, start), Ok(()));
    for _ in 0..1000 {
        assert!(limiter.check(&quota, start).is_err());
    }
    assert_eq!(limiter.check(&quota, start + Duration::from_millis(100)), Ok(()));
}

#[test]
fn it_is_idle_when_the_whole_burst_is_free_again() {
    let (quota, start) = (quota(10, 5), Instant::now());
    let mut limiter = RateLimiter::default();
    assert!(limiter.is_idle(start));
    assert_eq!(limiter.check(&quota, start), Ok(()));
    assert!(!limiter.is_idle(start));
    assert!(limiter.is_idle(start + Duration::from_millis(100)));
}

#[test]
fn extreme_quotas_are_survived() {
    let now = Instant::now();
    for (per_second, burst) in [(1, u32::MAX), (u32::MAX, 1), (u32::MAX, u32::MAX), (1, 1)] {
        assert_eq!(RateLimiter::default().check(&quota(per_second, burst), now), Ok(()));
    }
}

proptest! {
    /// In no stretch of time are there more than the burst and the rate allow.
    #[test]
    fn no_stretch_exceeds_the_quota(per_second in 1u32..50, burst in 1u32..20, gaps_ms in prop::collection::vec(0u64..300, 1..200)) {
        let (quota, start) = (quota(per_second, burst), Instant::now());
        let mut limiter = RateLimiter::default();
        let (mut now, mut accepted) = (start, Vec::new());
        for gap in gaps_ms {
            now += Duration::from_millis(gap);
            if limiter.check(&quota, now).is_ok() {
                accepted.push(now);
            }
        }
        for (from, &first) in accepted.iter().enumerate() {
            for (to, &last) in accepted.iter().enumerate().skip(from) {
                let allowed = f64::from(burst) + (last - first).as_secs_f64() * f64::from(per_second);
                prop_assert!((to - from + 1) as f64 <= allowed + 0.001);
            }
        }
    }

    /// Who waits as long as told is accepted.
    #[test]
    fn the_wait_that_is_told_is_enough(per_second in 1u32..1000, burst in 1u32..20) {
        let quota = quota(per_second, burst);
        let mut limiter = RateLimiter::default();
        let mut now = Instant::now();
        for _ in 0..burst + 5 {
            if let Err(wait) = limiter.check(&quota, now) {
                now += wait;
                prop_assert_eq!(limiter.check(&quota, now), Ok(()));
            }
        }
    }
}

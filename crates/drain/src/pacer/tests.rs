use proptest::prelude::*;

use super::*;

const DURATION: Duration = Duration::from_secs(10);
const DEADLINE: Duration = Duration::from_secs(30);

/// What a drain did: when it closed how many, and when nobody was left.
struct Drained {
    steps: Vec<(Duration, usize)>,
    end: Duration,
}

impl Drained {
    fn closed(&self) -> usize {
        self.steps.iter().map(|(_, count)| count).sum()
    }

    /// Closes within `[from, until)`.
    fn closed_within(&self, from: Duration, until: Duration) -> usize {
        self.steps.iter().filter(|(at, _)| (from..until).contains(at)).map(|(_, count)| count).sum()
    }
}

/// Drains `total`. Before each poll after a wait, `disturb` says how much later it comes and how many clients have
/// left by themselves.
fn drain(
    total: usize,
    duration: Duration,
    deadline: Duration,
    seed: u64,
    mut disturb: impl FnMut() -> (Duration, usize),
) -> Drained {
    let mut pacer = Pacer::new(total, duration, deadline, seed);
    let (mut now, mut open, mut steps) = (Duration::ZERO, total, Vec::new());
    loop {
        match pacer.poll(now, open) {
            Step::Close(count) => {
                assert!(count >= 1 && count <= open, "{count} of {open}");
                open -= count;
                steps.push((now, count));
            }
            Step::Wait(time) => {
                assert!(!time.is_zero() && now + time <= deadline.max(now), "a wait across the deadline");
                let (late, left) = disturb();
                now += time + late;
                open -= left.min(open);
            }
            Step::Done => return Drained { steps, end: now },
        }
        assert!(steps.len() <= 100_000, "a drain that does not end");
    }
}

fn undisturbed() -> (Duration, usize) {
    (Duration::ZERO, 0)
}

#[test]
fn nobody_to_close_is_done_at_once() {
    assert_eq!(Pacer::new(0, DURATION, DEADLINE, 1).poll(Duration::ZERO, 0), Step::Done);
}

#[test]
fn the_first_of_few_is_closed_at_once_and_the_others_within_about_a_second_each() {
    let drained = drain(3, DURATION, DEADLINE, 1, undisturbed);
    assert_eq!(drained.steps[0], (Duration::ZERO, 1));
    assert!(drained.end <= Duration::from_secs(3), "{:?}", drained.end);
}

#[test]
fn each_tenth_of_the_time_closes_a_tenth_of_the_connections() {
    for total in [1_000, 20_000, 1_000_000] {
        let drained = drain(total, DURATION, DEADLINE, 1, undisturbed);
        for second in 0..10 {
            let second = Duration::from_secs(second);
            let share = drained.closed_within(second, second + Duration::from_secs(1)) as f64 / total as f64;
            assert!((0.09..=0.11).contains(&share), "{total}: {share} in the second from {second:?}");
        }
    }
}

#[test]
fn connections_that_leave_slow_the_rest_down() {
    let mut pacer = Pacer::new(10_000, DURATION, DEADLINE, 1);
    pacer.poll(Duration::ZERO, 10_000);
    pacer.poll(Duration::from_secs(5), 5_000);
    let planned = pacer.rate();
    pacer.poll(Duration::from_secs(5), 2_500);
    assert!((pacer.rate() / planned - 0.5).abs() < 0.01, "{} of {planned}", pacer.rate());
}

#[test]
fn a_poll_too_early_closes_nobody() {
    let mut pacer = Pacer::new(10_000, DURATION, DEADLINE, 1);
    let Step::Close(count) = pacer.poll(Duration::ZERO, 10_000) else {
        panic!("the first is closed at once")
    };
    for _ in 0..1_000 {
        assert!(matches!(pacer.poll(Duration::ZERO, 10_000 - count), Step::Wait(_)));
    }
}

#[test]
fn a_stall_is_not_made_up_for_in_a_burst() {
    let mut pacer = Pacer::new(10_000, DURATION, DEADLINE, 1);
    pacer.poll(Duration::ZERO, 10_000);
    // Eight seconds in which 8,000 would have been closed. A slice of the planned rate is 20.
    let Step::Close(count) = pacer.poll(Duration::from_secs(8), 9_999) else { panic!("some are due") };
    assert!(count <= 34, "{count}");
    assert!(pacer.rate() <= 1_100.1);
}

#[test]
fn a_drain_that_fell_behind_is_late_and_ends() {
    let mut stalls = 1;
    let drained = drain(10_000, DURATION, DEADLINE, 1, || {
        let stall = Duration::from_secs(if stalls > 0 { 8 } else { 0 });
        stalls = 0;
        (stall, 0)
    });
    assert!(drained.end > DURATION && drained.end < Duration::from_secs(18), "{:?}", drained.end);
    let pacer = Pacer::new(10_000, DURATION, DEADLINE, 1);
    assert_eq!(pacer.phase(DURATION), Phase::OnTime);
    assert_eq!(pacer.phase(drained.end), Phase::Late);
    assert_eq!(pacer.phase(DEADLINE), Phase::Overdue);
}

#[test]
fn a_near_deadline_raises_the_rate_as_far_as_it_takes() {
    let mut pacer = Pacer::new(10_000, DURATION, DEADLINE, 1);
    pacer.poll(Duration::ZERO, 10_000);
    pacer.poll(Duration::from_secs(28), 9_000);
    assert!((4_500.0..4_700.0).contains(&pacer.rate()), "{}", pacer.rate());
}

#[test]
fn at_the_deadline_all_are_closed_at_once() {
    let mut pacer = Pacer::new(10_000, DURATION, DEADLINE, 1);
    assert_eq!(pacer.poll(DEADLINE, 777), Step::Close(777));
    assert_eq!(pacer.poll(DEADLINE, 0), Step::Done);
}

#[test]
fn a_deadline_before_the_planned_end_shortens_the_plan() {
    let drained = drain(10_000, DURATION, Duration::from_secs(2), 1, undisturbed);
    assert!(drained.end <= Duration::from_secs(2), "{:?}", drained.end);
    let first_half = drained.closed_within(Duration::ZERO, Duration::from_secs(1));
    assert!((4_500..=5_500).contains(&first_half), "{first_half}");
}

#[test]
fn no_time_closes_all_at_once() {
    assert_eq!(Pacer::new(500, Duration::ZERO, DEADLINE, 1).poll(Duration::ZERO, 500), Step::Close(500));
    assert_eq!(Pacer::new(500, DURATION, Duration::ZERO, 1).poll(Duration::ZERO, 500), Step::Close(500));
}

#[test]
fn more_than_were_planned_for_are_closed_too() {
    let mut pacer = Pacer::new(10, DURATION, DEADLINE, 1);
    pacer.poll(Duration::ZERO, 1_000);
    assert!(pacer.rate() > 90.0, "{}", pacer.rate());
    assert_eq!(Pacer::new(0, DURATION, DEADLINE, 1).poll(Duration::ZERO, 1), Step::Close(1));
}

#[test]
fn numbers_without_sense_do_no_harm() {
    for (total, duration) in
        [(usize::MAX, Duration::MAX), (usize::MAX, Duration::from_nanos(1)), (1, Duration::MAX)]
    {
        let mut pacer = Pacer::new(total, duration, Duration::MAX, 1);
        for now in [0, 1, u64::MAX / 2, 5, u64::MAX] {
            match pacer.poll(Duration::from_nanos(now), total) {
                Step::Close(count) => assert!((1..=total).contains(&count)),
                Step::Wait(time) => assert!(!time.is_zero()),
                Step::Done => panic!("not done"),
            }
        }
        assert_eq!(pacer.poll(Duration::MAX, total), Step::Close(total));
    }
}

/// Total, planned time in ms, deadline in ms after it, seed.
fn plans() -> impl Strategy<Value = (usize, u64, u64, u64)> {
    (prop_oneof![0..50usize, 0..200_000usize], 0..20_000u64, 0..30_000u64, any::<u64>())
}

proptest! {
    #[test]
    fn all_are_closed_once_and_by_the_planned_end((total, duration, more, seed) in plans()) {
        let duration = Duration::from_millis(duration);
        let drained = drain(total, duration, duration + Duration::from_millis(more), seed, undisturbed);
        prop_assert_eq!(drained.closed(), total);
        // In a time of a few slices the steps are too coarse to meet the end exactly.
        let tolerance = if duration < SLICE * 10 { SLICE * 2 } else { Duration::ZERO };
        prop_assert!(drained.end <= duration + tolerance, "{:?}", drained.end);
    }

    #[test]
    fn the_rate_is_never_exceeded_by_more_than_a_slice(
        (total, duration, more, seed) in plans(),
        delays in proptest::collection::vec((0..400u64, 0..100usize), 1..50),
    ) {
        let duration = Duration::from_millis(duration.max(200));
        let deadline = duration + Duration::from_millis(more + 10_000);
        let mut delays = delays.into_iter().cycle();
        let drained = drain(total, duration, deadline, seed, || {
            let (late, left) = delays.next().unwrap();
            (Duration::from_millis(late), left)
        });
        prop_assert!(drained.end <= deadline + Duration::from_millis(400));

        // Until the deadline comes into sight, and over any window between two steps.
        let planned = (total as f64 / duration.as_secs_f64() * CATCH_UP).max(RATE_MIN);
        let slice = (planned * SLICE.as_secs_f64()).max(1.0) * JITTER.end + 1.0;
        let needed = |at: Duration| {
            let left = deadline.saturating_sub(at).saturating_sub(SLICE * 4).max(SLICE);
            total as f64 / left.as_secs_f64() > planned
        };
        let calm: Vec<_> = drained.steps.iter().take_while(|(at, _)| !needed(*at)).collect();
        for from in (0..calm.len()).step_by(1 + calm.len() / 30) {
            let mut closed = 0;
            for (at, count) in &calm[from..] {
                closed += count;
                let allowed = planned * (*at - calm[from].0).as_secs_f64() + slice;
                prop_assert!(closed as f64 <= allowed, "{closed} from {:?} to {at:?}, not {allowed}", calm[from].0);
            }
        }
    }

    #[test]
    fn the_end_comes_by_the_deadline_however_slow_the_caller(
        (total, duration, more, seed) in plans(),
        late in 0..5_000u64,
    ) {
        let duration = Duration::from_millis(duration);
        let deadline = duration + Duration::from_millis(more);
        let late = Duration::from_millis(late);
        let drained = drain(total, duration, deadline, seed, || (late, 0));
        prop_assert_eq!(drained.closed(), total);
        prop_assert!(drained.end <= deadline + late, "{:?}", drained.end);
    }

    #[test]
    fn a_clock_that_jumps_closes_nobody_twice_and_never_panics(
        (total, duration, more, seed) in plans(),
        times in proptest::collection::vec(prop_oneof![0..40_000_000_000u64, any::<u64>()], 1..200),
    ) {
        let duration = Duration::from_millis(duration);
        let deadline = duration + Duration::from_millis(more);
        let mut pacer = Pacer::new(total, duration, deadline, seed);
        let mut open = total;
        let mut latest = Duration::ZERO;
        for now in times.into_iter().map(Duration::from_nanos) {
            latest = latest.max(now);
            match pacer.poll(now, open) {
                Step::Close(count) => {
                    prop_assert!((1..=open).contains(&count));
                    open -= count;
                }
                Step::Wait(time) => prop_assert!(latest + time <= deadline),
                Step::Done => prop_assert_eq!(open, 0),
            }
        }
    }
}

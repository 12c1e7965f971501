use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use super::*;

/// Counts its calls, and wants the next one after `again` seconds.
#[derive(Default)]
struct Alarm {
    calls: AtomicUsize,
    last: AtomicU32,
    again: Option<u64>,
}

impl Alarm {
    fn every(seconds: u64) -> Arc<Self> {
        Arc::new(Self { again: Some(seconds), ..Self::default() })
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }
}

impl Timed for Alarm {
    fn fire(&self, now: Tick) -> Option<Duration> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.last.store(now.0, Ordering::Relaxed);
        self.again.map(Duration::from_secs)
    }
}

fn insert(wheel: &Wheel, alarm: &Arc<Alarm>, seconds: u64) {
    let weak = Arc::downgrade(alarm);
    wheel.insert(weak, Duration::from_secs(seconds));
}

fn timers(wheel: &Wheel) -> usize {
    wheel.slots.iter().map(|slot| slot.lock().pieces.iter().map(Vec::len).sum::<usize>()).sum()
}

async fn turn(wheel: &Wheel, seconds: usize) {
    for _ in 0..seconds {
        wheel.tick().await;
    }
}

#[test]
fn a_timer_costs_24_bytes() {
    assert_eq!(size_of::<Timer>(), 24);
}

#[tokio::test]
async fn a_timer_fires_once_and_never_early() {
    let wheel = Wheel::new(8);
    let alarm = Arc::new(Alarm::default());
    insert(&wheel, &alarm, 3);
    turn(&wheel, 3).await;
    assert_eq!(alarm.calls(), 0, "the first second had partly passed");
    turn(&wheel, 1).await;
    assert_eq!(alarm.calls(), 1);
    turn(&wheel, 40).await;
    assert_eq!(alarm.calls(), 1);
    assert_eq!(timers(&wheel), 0);
}

#[tokio::test]
async fn a_part_of_a_second_counts_as_one_and_none_as_the_next_turn() {
    let wheel = Wheel::new(4);
    let (part, none) = (Arc::new(Alarm::default()), Arc::new(Alarm::default()));
    let weak = Arc::downgrade(&part);
    wheel.insert(weak, Duration::from_millis(1));
    insert(&wheel, &none, 0);
    turn(&wheel, 1).await;
    assert_eq!((part.calls(), none.calls()), (0, 1));
    turn(&wheel, 1).await;
    assert_eq!(part.calls(), 1);
}

#[tokio::test]
async fn a_timer_longer_than_a_round_waits_for_its_round() {
    let wheel = Wheel::new(4);
    let alarm = Arc::new(Alarm::default());
    insert(&wheel, &alarm, 29);
    turn(&wheel, 29).await;
    assert_eq!(alarm.calls(), 0);
    turn(&wheel, 1).await;
    assert_eq!(alarm.calls(), 1);
}

#[tokio::test]
async fn a_timer_comes_again_after_what_it_answers() {
    let wheel = Wheel::new(8);
    let alarm = Alarm::every(5);
    insert(&wheel, &alarm, 0);
    turn(&wheel, 21).await;
    assert_eq!(alarm.calls(), 5, "after 1, 6, 11, 16 and 21 seconds");
}

#[tokio::test]
async fn timers_of_what_is_dropped_vanish_with_their_slot() {
    let wheel = Wheel::new(8);
    let alarms: Vec<_> = (0..1000).map(|_| Alarm::every(2)).collect();
    for alarm in &alarms {
        insert(&wheel, alarm, 2);
    }
    drop(alarms);
    assert_eq!(timers(&wheel), 1000);
    turn(&wheel, 3).await;
    assert_eq!(timers(&wheel), 0);
}

#[tokio::test]
async fn a_time_without_turning_fires_each_timer_once() {
    let wheel = Wheel::new(8);
    let alarms: Vec<_> = (1..=30).map(Alarm::every).collect();
    for alarm in &alarms {
        insert(&wheel, alarm, 1);
    }
    let late = Arc::new(Alarm::default());
    insert(&wheel, &late, 4000);
    wheel.advance_to(Tick(wheel.now().0 + 3600)).await;
    assert!(alarms.iter().all(|alarm| alarm.calls() == 1));
    assert!(alarms.iter().all(|alarm| alarm.last.load(Ordering::Relaxed) == wheel.now().0));
    assert_eq!(late.calls(), 0);
    turn(&wheel, 401).await;
    assert_eq!(late.calls(), 1);
    assert_eq!(alarms[0].calls(), 402, "every second again");
}

#[tokio::test]
async fn a_crowded_slot_lets_other_tasks_run() {
    let wheel = Wheel::new(8);
    let alarms: Vec<_> = (0..100_000).map(|_| Arc::new(Alarm::default())).collect();
    for alarm in &alarms {
        insert(&wheel, alarm, 0);
    }
    let turns = Arc::new(AtomicUsize::new(0));
    let other = tokio::spawn({
        let turns = turns.clone();
        async move {
            loop {
                turns.fetch_add(1, Ordering::Relaxed);
                yield_now().await;
            }
        }
    });
    wheel.tick().await;
    other.abort();
    assert!(alarms.iter().all(|alarm| alarm.calls() == 1));
    assert!(turns.load(Ordering::Relaxed) >= 100_000 / SLICE);
}

#[test]
fn timers_inserted_while_the_wheel_turns_are_not_lost() {
    let wheel = Arc::new(Wheel::new(2));
    let alarms: Vec<_> = (0..20_000).map(|_| Arc::new(Alarm::default())).collect();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(turn(&wheel, 3000));
        });
        for alarm in &alarms {
            insert(&wheel, alarm, 0);
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(turn(&wheel, 1));
    assert!(alarms.iter().all(|alarm| alarm.calls() == 1));
}

#[tokio::test(start_paused = true)]
async fn a_running_wheel_follows_the_clock() {
    let wheel = Arc::new(Wheel::new(64));
    let alarm = Alarm::every(25);
    insert(&wheel, &alarm, 25);
    let running = tokio::spawn({
        let wheel = wheel.clone();
        async move { wheel.run().await }
    });
    tokio::time::sleep(Duration::from_millis(24_900)).await;
    assert_eq!(alarm.calls(), 0);
    tokio::time::sleep(Duration::from_millis(2_000)).await;
    assert_eq!(alarm.calls(), 1);
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert_eq!(alarm.calls(), 5);
    running.abort();
}

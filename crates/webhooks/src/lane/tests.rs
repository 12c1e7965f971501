use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn settings() -> Settings {
    Settings {
        concurrency_per_endpoint: 2,
        batch_max: 3,
        batch_bytes_max: 100,
        batch_linger: SECOND,
        ..Settings::default()
    }
}

fn failure() -> Result<(), Failure> {
    Err(Failure::Status(500))
}

fn attempt(id: DeliveryId) -> Next {
    Next::Attempt { id, waited_since: None }
}

#[test]
fn deliveries_start_in_order_up_to_the_bound() {
    let (mut lane, settings, now) = (Lane::new(false), settings(), Instant::now());
    (1..=3).for_each(|id| lane.add(id, None, now));
    assert_eq!(lane.next(now, &settings), attempt(1));
    assert_eq!(lane.next(now, &settings), attempt(2));
    assert_eq!(lane.next(now, &settings), Next::Wait);
    lane.settled(2, Ok(()), None);
    assert_eq!(lane.next(now, &settings), attempt(3));
}

#[test]
fn a_failed_delivery_steps_aside_until_it_is_due_and_then_goes_first() {
    let (mut lane, settings, now) = (Lane::new(false), settings(), Instant::now());
    (1..=2).for_each(|id| lane.add(id, None, now));
    assert_eq!(lane.next(now, &settings), attempt(1));
    lane.settled(1, failure(), Some(now + SECOND));
    assert_eq!(lane.next(now, &settings), attempt(2));
    lane.settled(2, Ok(()), None);
    assert_eq!(lane.next(now, &settings), Next::WaitUntil(now + SECOND));
    lane.add(3, None, now + SECOND * 2);
    assert_eq!(lane.next(now + SECOND * 2, &settings), attempt(1));
    assert_eq!(lane.next(now + SECOND * 2, &settings), attempt(3));
}

#[test]
fn a_lane_that_only_fails_pauses_between_attempts_until_one_succeeds() {
    let (mut lane, settings, now) = (Lane::new(false), settings(), Instant::now());
    (1..=6).for_each(|id| lane.add(id, None, now));
    for id in 1..=3 {
        assert_eq!(lane.next(now, &settings), attempt(id));
        lane.settled(id, failure(), None);
    }
    assert_eq!(lane.next(now, &settings), Next::WaitUntil(now + FAILING_PAUSE));
    let now = now + FAILING_PAUSE;
    assert_eq!(lane.next(now, &settings), attempt(4));
    lane.settled(4, Ok(()), None);
    assert_eq!(lane.next(now, &settings), attempt(5));
    assert_eq!(lane.next(now, &settings), attempt(6));
}

#[test]
fn events_linger_for_others_and_become_one_request() {
    let (mut lane, settings, now) = (Lane::new(true), settings(), Instant::now());
    lane.gather(1, 10, now);
    lane.gather(2, 10, now + SECOND / 2);
    assert_eq!(lane.next(now + SECOND / 2, &settings), Next::WaitUntil(now + SECOND));
    assert_eq!(lane.next(now + SECOND, &settings), Next::Batch(vec![1, 2]));
    assert_eq!(lane.next(now + SECOND, &settings), Next::Wait);
    lane.add(1, None, now + SECOND);
    assert_eq!(lane.next(now + SECOND, &settings), attempt(1));
}

#[test]
fn a_request_is_full_by_number_or_by_bytes_and_never_empty() {
    let (mut lane, settings, now) = (Lane::new(true), settings(), Instant::now());
    (1..=4).for_each(|id| lane.gather(id, 10, now));
    assert_eq!(lane.next(now, &settings), Next::Batch(vec![1, 2, 3]));
    lane.gather(5, 60, now);
    lane.gather(6, 60, now);
    assert_eq!(lane.next(now, &settings), Next::Batch(vec![4, 5]));
    lane.gather(7, 1000, now);
    assert_eq!(lane.next(now, &settings), Next::Batch(vec![6]));
    assert_eq!(lane.next(now, &settings), Next::Batch(vec![7]));
    assert_eq!((lane.gathering.len(), lane.gathering_bytes), (0, 0));
}

#[test]
fn what_must_not_be_overtaken_is_waited_for_until_it_is_accepted() {
    let (mut lane, settings, now) = (Lane::new(false), settings(), Instant::now());
    let key = Some(OrderKey(1));
    lane.add(1, key, now);
    lane.add(2, key, now);
    lane.add(3, key, now);
    lane.add(4, None, now);
    assert_eq!(lane.next(now, &settings), attempt(1));
    assert_eq!(lane.next(now, &settings), attempt(4), "others do not wait");
    assert_eq!(lane.next(now, &settings), Next::Wait);
    lane.settled(4, Ok(()), None);
    lane.settled(1, failure(), Some(now + SECOND));
    assert_eq!(lane.next(now, &settings), Next::WaitUntil(now + SECOND));
    assert_eq!(lane.next(now + SECOND, &settings), attempt(1));
    lane.settled(1, Ok(()), None);
    let waited = |id| Next::Attempt { id, waited_since: Some(now) };
    assert_eq!(lane.next(now + SECOND, &settings), waited(2));
    assert_eq!(lane.next(now + SECOND, &settings), Next::Wait);
    lane.settled(2, failure(), None);
    assert_eq!(lane.next(now + SECOND, &settings), waited(3), "given up is over, too");
    lane.settled(3, Ok(()), None);
    assert_eq!((lane.held.len(), lane.behind.len()), (0, 0));
}

#[test]
fn what_failed_before_a_restart_is_waited_for_after_it() {
    let (mut lane, settings, now) = (Lane::new(false), settings(), Instant::now());
    let key = Some(OrderKey(1));
    lane.retry(1, key, now + SECOND);
    lane.add(2, key, now);
    assert_eq!(lane.next(now, &settings), Next::WaitUntil(now + SECOND));
    assert_eq!(lane.next(now + SECOND, &settings), attempt(1));
    lane.settled(1, Ok(()), None);
    assert_eq!(lane.next(now + SECOND, &settings), Next::Attempt { id: 2, waited_since: Some(now) });
}

use super::*;

const INTERVAL: Duration = Duration::from_secs(5);

fn place(channel: &str) -> Place {
    (AppId::new("1001").unwrap(), channel.into())
}

#[test]
fn a_miss_is_news_once_in_a_window() {
    let mut misses = Misses::new(INTERVAL, 10);
    let start = Instant::now();
    assert!(misses.is_news(place("cache-a"), start));
    assert!(misses.is_news(place("cache-b"), start));
    assert!(!misses.is_news(place("cache-a"), start + INTERVAL / 2));
    assert!(misses.is_news(place("cache-a"), start + INTERVAL));
}

#[test]
fn a_miss_is_news_again_after_the_channel_had_an_event() {
    let mut misses = Misses::new(INTERVAL, 10);
    let start = Instant::now();
    assert!(misses.is_news(place("cache-a"), start));
    misses.filled(&place("cache-a"));
    assert!(misses.is_news(place("cache-a"), start));
    assert_eq!((misses.places.len(), misses.over.len()), (1, 1));
}

#[test]
fn misses_forget_the_oldest_when_there_are_too_many() {
    let mut misses = Misses::new(INTERVAL, 2);
    let start = Instant::now();
    for (n, channel) in ["cache-a", "cache-b", "cache-c"].into_iter().enumerate() {
        assert!(misses.is_news(place(channel), start + Duration::from_millis(n as u64)));
    }
    assert_eq!((misses.places.len(), misses.over.len()), (2, 2));
    assert!(!misses.is_news(place("cache-b"), start + Duration::from_millis(3)));
}

#[test]
fn small_counts_are_told_at_once() {
    let mut counts = Counts::new(INTERVAL, 10);
    let now = Instant::now();
    assert!((1..=100).all(|count| counts.is_due(place("a"), count, 100, now)));
    assert_eq!(counts.next_deadline(), None);
}

#[test]
fn large_counts_are_told_once_in_an_interval_and_the_latest_wins() {
    let mut counts = Counts::new(INTERVAL, 10);
    let start = Instant::now();
    assert!(counts.is_due(place("a"), 101, 100, start));
    for count in 102..200 {
        assert!(!counts.is_due(place("a"), count, 100, start + INTERVAL / 2));
    }
    assert_eq!(counts.pop_due(start + INTERVAL - Duration::from_millis(1)), None);
    assert_eq!(counts.pop_due(start + INTERVAL), Some((place("a"), 199)));
    // Nothing new since: silence, and the channel is forgotten.
    assert_eq!(counts.pop_due(start + INTERVAL * 2), None);
    assert_eq!(counts.next_deadline(), None);
}

#[test]
fn a_count_that_falls_below_the_bound_is_told_at_once_and_replaces_what_waited() {
    let mut counts = Counts::new(INTERVAL, 10);
    let start = Instant::now();
    assert!(counts.is_due(place("a"), 102, 100, start));
    assert!(!counts.is_due(place("a"), 101, 100, start));
    assert!(counts.is_due(place("a"), 100, 100, start));
    assert_eq!(counts.pop_due(start + INTERVAL), None);
}

#[test]
fn a_full_table_of_counts_loses_none() {
    let mut counts = Counts::new(INTERVAL, 1);
    let now = Instant::now();
    assert!(counts.is_due(place("a"), 101, 100, now));
    assert!(!counts.is_due(place("a"), 102, 100, now));
    assert!(counts.is_due(place("b"), 101, 100, now));
    assert!(counts.is_due(place("b"), 102, 100, now));
    assert_eq!(counts.pop_due(now + INTERVAL), Some((place("a"), 102)));
}

//! What a log does. `open` gives the same log again when the one it gave before is dropped.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use courant_cluster::{Durability, Entry, Log, LogError, Sequence, Snapshot};

macro_rules! log_cases {
    (#[$test:meta], $make:expr) => {
        cases!(log, #[$test], $make;
            a_stream_that_nobody_wrote_to_is_empty
            records_are_numbered_from_one_and_read_in_order
            records_may_be_empty_or_any_bytes
            a_read_begins_and_ends_where_it_is_asked_to
            an_append_that_expects_another_end_is_refused_as_a_whole
            an_append_of_nothing_only_checks_what_it_expects
            streams_are_apart_whatever_their_names
            what_is_too_large_or_has_no_name_is_invalid
            the_newest_snapshot_is_kept
            records_that_a_snapshot_stands_for_are_gone
            a_snapshot_of_what_is_not_there_is_invalid
            all_of_it_is_there_when_the_log_is_opened_again
            of_appends_that_expect_the_same_end_one_succeeds
            appends_at_the_same_time_are_whole_and_in_a_row
            large_streams_are_read_in_parts
            the_durability_is_one_that_was_configured
        );
    };
}
pub(crate) use log_cases;

fn records<const N: usize>(records: [&str; N]) -> Vec<Bytes> {
    records.map(|record| Bytes::copy_from_slice(record.as_bytes())).to_vec()
}

fn snapshot(sequence: Sequence, state: &str) -> Snapshot {
    Snapshot { sequence, state: Bytes::copy_from_slice(state.as_bytes()) }
}

/// Reads on to the end, and checks the sequences.
async fn read_all(log: &dyn Log, stream: &str, from: Sequence) -> Vec<Bytes> {
    let mut all = Vec::new();
    loop {
        let part = log.read(stream, from + all.len() as u64, 1000).await.unwrap();
        if part.is_empty() {
            return all;
        }
        for Entry { sequence, record } in part {
            assert_eq!(sequence, from + all.len() as u64);
            all.push(record);
        }
    }
}

pub(crate) async fn a_stream_that_nobody_wrote_to_is_empty(open: impl AsyncFn() -> Arc<dyn Log>) {
    let log = open().await;
    assert_eq!(log.last("s").await.unwrap(), 0);
    assert_eq!(log.read("s", 1, 10).await.unwrap(), []);
    assert_eq!(log.snapshot("s").await.unwrap(), None);
}

pub(crate) async fn records_are_numbered_from_one_and_read_in_order(open: impl AsyncFn() -> Arc<dyn Log>) {
    let log = open().await;
    assert_eq!(log.append("s", None, records(["a"])).await.unwrap(), 1);
    assert_eq!(log.append("s", None, records(["b", "c", "d"])).await.unwrap(), 4);
    assert_eq!(log.last("s").await.unwrap(), 4);
    let entry = |(sequence, record)| Entry { sequence, record };
    let expected = (1..).zip(records(["a", "b", "c", "d"])).map(entry).collect::<Vec<_>>();
    assert_eq!(log.read("s", 1, 10).await.unwrap(), expected);
}

pub(crate) async fn records_may_be_empty_or_any_bytes(open: impl AsyncFn() -> Arc<dyn Log>) {
    let log = open().await;
    let odd = vec![Bytes::new(), Bytes::from_iter(0..=255), Bytes::new(), Bytes::from(vec![0; 100_000])];
    log.append("s", None, odd.clone()).await.unwrap();
    assert_eq!(read_all(&*log, "s", 1).await, odd);
}

pub(crate) async fn a_read_begins_and_ends_where_it_is_asked_to(open: impl AsyncFn() -> Arc<dyn Log>) {
    let log = open().await;
    log.append("s", None, records(["a", "b", "c", "d", "e"])).await.unwrap();
    let read = async |from, records_max| {
        let entries = log.read("s", from, records_max).await.unwrap();
        entries.into_iter().map(|entry| entry.sequence).collect::<Vec<_>>()
    };
    assert_eq!(read(2, 2).await, [2, 3]);
    assert_eq!(read(5, usize::MAX).await, [5]);
    assert_eq!(read(0, 1).await, [1], "there is nothing before the first");
    assert!(read(6, 10).await.is_empty());
    assert!(read(u64::MAX, 10).await.is_empty());
    assert!(read(1, 0).await.is_empty());
}

pub(crate) async fn an_append_that_expects_another_end_is_refused_as_a_whole(
    open: impl AsyncFn() -> Arc<dyn Log>,
) {
    let log = open().await;
    let refused = log.append("s", Some(1), records(["x"])).await;
    assert!(matches!(refused, Err(LogError::Conflict { expected: 1, last: 0 })), "{refused:?}");
    assert_eq!(log.append("s", Some(0), records(["a", "b"])).await.unwrap(), 2);
    for expected in [0, 1, 3, u64::MAX] {
        let refused = log.append("s", Some(expected), records(["x", "y"])).await;
        let Err(LogError::Conflict { expected: was, last: 2 }) = refused else { panic!("{refused:?}") };
        assert_eq!(was, expected);
    }
    assert_eq!(log.append("s", Some(2), records(["c"])).await.unwrap(), 3);
    assert_eq!(read_all(&*log, "s", 1).await, records(["a", "b", "c"]));
}

pub(crate) async fn an_append_of_nothing_only_checks_what_it_expects(open: impl AsyncFn() -> Arc<dyn Log>) {
    let log = open().await;
    assert_eq!(log.append("s", Some(0), Vec::new()).await.unwrap(), 0);
    log.append("s", None, records(["a"])).await.unwrap();
    assert_eq!(log.append("s", None, Vec::new()).await.unwrap(), 1);
    assert_eq!(log.append("s", Some(1), Vec::new()).await.unwrap(), 1);
    let refused = log.append("s", Some(0), Vec::new()).await;
    assert!(matches!(refused, Err(LogError::Conflict { expected: 0, last: 1 })));
}

pub(crate) async fn streams_are_apart_whatever_their_names(open: impl AsyncFn() -> Arc<dyn Log>) {
    let long = "x".repeat(200);
    let names = [
        "a", "A", "a/b", "a.b", "..", "../a", ".", "/", "a b", "größe", "\0", "a%2Fb", "*", ">", "$SYS",
        &long,
    ];
    let log = open().await;
    for (n, name) in names.iter().enumerate() {
        log.append(name, Some(0), vec![Bytes::from(format!("{n}"))]).await.unwrap();
        log.put_snapshot(name, snapshot(0, &format!("snapshot {n}"))).await.unwrap();
    }
    drop(log);
    let log = open().await;
    for (n, name) in names.iter().enumerate() {
        assert_eq!(read_all(&*log, name, 1).await, [Bytes::from(format!("{n}"))], "{name}");
        let kept = log.snapshot(name).await.unwrap();
        assert_eq!(kept, Some(snapshot(0, &format!("snapshot {n}"))), "{name}");
    }
}

pub(crate) async fn what_is_too_large_or_has_no_name_is_invalid(open: impl AsyncFn() -> Arc<dyn Log>) {
    let log = open().await;
    let invalid = |result| matches!(result, Err(LogError::Invalid(_)));
    let huge = Bytes::from(vec![0; 64 * 1024 * 1024 + 1]);
    assert!(invalid(log.append("s", None, vec![Bytes::new(), huge]).await));
    assert_eq!(log.last("s").await.unwrap(), 0, "nor is the small one appended");
    for name in ["", &"x".repeat(100_000)] {
        assert!(invalid(log.append(name, None, records(["a"])).await));
        assert!(invalid(log.put_snapshot(name, snapshot(0, "")).await.map(|()| 0)));
    }
}

pub(crate) async fn the_newest_snapshot_is_kept(open: impl AsyncFn() -> Arc<dyn Log>) {
    let log = open().await;
    log.put_snapshot("s", snapshot(0, "nothing yet")).await.unwrap();
    assert_eq!(log.snapshot("s").await.unwrap(), Some(snapshot(0, "nothing yet")));
    log.append("s", Some(0), records(["a", "b", "c"])).await.unwrap();
    log.put_snapshot("s", snapshot(2, "ab")).await.unwrap();
    assert_eq!(log.snapshot("s").await.unwrap(), Some(snapshot(2, "ab")));
    log.put_snapshot("s", snapshot(1, "a")).await.unwrap();
    assert_eq!(log.snapshot("s").await.unwrap(), Some(snapshot(2, "ab")), "an older one changes nothing");
    log.put_snapshot("s", snapshot(3, "")).await.unwrap();
    assert_eq!(log.snapshot("s").await.unwrap(), Some(snapshot(3, "")));
    assert_eq!(log.snapshot("t").await.unwrap(), None, "another stream has none");
}

pub(crate) async fn records_that_a_snapshot_stands_for_are_gone(open: impl AsyncFn() -> Arc<dyn Log>) {
    let log = open().await;
    log.append("s", None, records(["a", "b", "c", "d"])).await.unwrap();
    log.put_snapshot("s", snapshot(3, "abc")).await.unwrap();
    for from in [0, 1, 3] {
        let gone = log.read("s", from, 10).await;
        assert!(matches!(gone, Err(LogError::Compacted { first: 4 })), "{gone:?}");
    }
    assert_eq!(read_all(&*log, "s", 4).await, records(["d"]));
    log.put_snapshot("s", snapshot(4, "abcd")).await.unwrap();
    assert_eq!(log.last("s").await.unwrap(), 4, "the sequence goes on though no record is left");
    assert_eq!(log.read("s", 5, 10).await.unwrap(), []);
    assert!(log.append("s", Some(0), records(["x"])).await.is_err());
    assert_eq!(log.append("s", Some(4), records(["e"])).await.unwrap(), 5);
    assert_eq!(read_all(&*log, "s", 5).await, records(["e"]));
}

pub(crate) async fn a_snapshot_of_what_is_not_there_is_invalid(open: impl AsyncFn() -> Arc<dyn Log>) {
    let log = open().await;
    log.append("s", None, records(["a"])).await.unwrap();
    let invalid = log.put_snapshot("s", snapshot(2, "ab")).await;
    assert!(matches!(invalid, Err(LogError::Invalid(_))), "{invalid:?}");
    assert_eq!(log.snapshot("s").await.unwrap(), None);
}

pub(crate) async fn all_of_it_is_there_when_the_log_is_opened_again(open: impl AsyncFn() -> Arc<dyn Log>) {
    let log = open().await;
    log.append("s", None, records(["a", "b", "c"])).await.unwrap();
    log.put_snapshot("s", snapshot(2, "ab")).await.unwrap();
    log.append("t", None, records(["x"])).await.unwrap();
    log.put_snapshot("t", snapshot(1, "x")).await.unwrap();
    drop(log);

    let log = open().await;
    assert_eq!((log.last("s").await.unwrap(), log.last("t").await.unwrap()), (3, 1));
    assert_eq!(log.snapshot("s").await.unwrap(), Some(snapshot(2, "ab")));
    assert_eq!(read_all(&*log, "s", 3).await, records(["c"]));
    assert!(matches!(log.read("s", 2, 1).await, Err(LogError::Compacted { first: 3 })));
    assert_eq!(log.append("t", Some(1), records(["y"])).await.unwrap(), 2);
}

pub(crate) async fn of_appends_that_expect_the_same_end_one_succeeds(open: impl AsyncFn() -> Arc<dyn Log>) {
    let log = open().await;
    for round in 0..20 {
        let owners = (0..8).map(|owner| {
            let log = log.clone();
            let record = Bytes::from(format!("{round} {owner}"));
            tokio::spawn(
                async move { log.append("s", Some(round), vec![record.clone()]).await.map(|_| record) },
            )
        });
        let mut appended = Vec::new();
        for owner in owners.collect::<Vec<_>>() {
            match owner.await.unwrap() {
                Ok(record) => appended.push(record),
                Err(LogError::Conflict { expected, last }) => {
                    assert_eq!((expected, last), (round, round + 1))
                }
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!(appended.len(), 1);
        assert_eq!(log.read("s", round + 1, 2).await.unwrap()[0].record, appended[0]);
    }
}

pub(crate) async fn appends_at_the_same_time_are_whole_and_in_a_row(open: impl AsyncFn() -> Arc<dyn Log>) {
    const WRITERS: u64 = 8;
    const APPENDS: u64 = 20;
    let log = open().await;
    let writers = (0..WRITERS).map(|writer| {
        let log = log.clone();
        tokio::spawn(async move {
            let mut lasts = Vec::new();
            for n in 0..APPENDS {
                let stream = format!("s{}", n % 3);
                let record = |part| Bytes::from(format!("{writer} {n} {part}"));
                let last = log.append(&stream, None, vec![record(0), record(1), record(2)]).await.unwrap();
                lasts.push((stream, last, record(0)));
            }
            lasts
        })
    });
    let mut seen = BTreeSet::new();
    for writer in writers.collect::<Vec<_>>() {
        for (stream, last, first_record) in writer.await.unwrap() {
            assert!(seen.insert((stream.clone(), last)), "two appends ended at {last}");
            let entries = log.read(&stream, last - 2, 3).await.unwrap();
            assert_eq!(entries[0].record, first_record);
            let append = |entry: &Entry| entry.record[..entry.record.len() - 1].to_vec();
            assert!(entries.iter().all(|entry| append(entry) == append(&entries[0])), "{entries:?}");
        }
    }
    let mut total = 0;
    for stream in ["s0", "s1", "s2"] {
        total += log.last(stream).await.unwrap();
    }
    assert_eq!(total, WRITERS * APPENDS * 3);
}

pub(crate) async fn large_streams_are_read_in_parts(open: impl AsyncFn() -> Arc<dyn Log>) {
    let log = open().await;
    let large = (0..24).map(|n| Bytes::from(vec![n; 1_000_000])).collect::<Vec<_>>();
    for part in large.chunks(8) {
        log.append("s", None, part.to_vec()).await.unwrap();
    }
    log.append("s", None, vec![Bytes::from_static(b"small"); 10_000]).await.unwrap();
    let all = read_all(&*log, "s", 1).await;
    assert_eq!(all.len(), 10_024);
    assert_eq!(all[..24], large);
}

pub(crate) async fn the_durability_is_one_that_was_configured(open: impl AsyncFn() -> Arc<dyn Log>) {
    assert!(
        open().await.durability() > Durability::Accepted,
        "the suite runs on logs that keep what they took"
    );
}

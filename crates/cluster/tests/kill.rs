//! A process that appends is killed, again and again, and what it was told is on disk must be there.
//!
//! The process is this test binary once more, running [`a_process_that_appends`] alone. It prints each
//! acknowledgement after it has it; what it printed is what anybody could have relied on.
//!
//! This binary has no other tests: a process that is being started holds the locks of its parent's logs for
//! a moment.

#![allow(clippy::unwrap_used, reason = "a case ends at the first surprise")]

use std::collections::BTreeMap;
use std::env;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use bytes::Bytes;
use courant_cluster::{FileLog, FileLogOptions, Log, LogError, Sequence, Snapshot};
use tempfile::TempDir;

const DIR: &str = "COURANT_TEST_LOG_DIR";
const STREAMS: usize = 4;
const ROUNDS: usize = 12;
/// How often a stream puts a snapshot. The first stream never does.
const SNAPSHOT_EVERY: Sequence = 40;

const OPTIONS: FileLogOptions =
    FileLogOptions { fsync: true, segment_bytes: 16 * 1024, queue_bytes: 1024 * 1024 };

fn record(stream: usize, sequence: Sequence) -> Bytes {
    let mut record = format!("{stream} {sequence} ").into_bytes();
    record.resize(record.len() + (sequence as usize * 131) % 900, b'x');
    Bytes::from(record)
}

fn state(stream: usize, sequence: Sequence) -> Bytes {
    Bytes::from(format!("{stream} up to {sequence} {}", "s".repeat(5000)))
}

/// Appends to a stream for ever, from where it ends.
async fn append_for_ever(log: Arc<FileLog>, stream: usize) {
    let name = stream.to_string();
    let mut last = log.last(&name).await.unwrap();
    loop {
        let count = 1 + last % 3;
        let records = (last + 1..=last + count).map(|sequence| record(stream, sequence)).collect();
        last = log.append(&name, Some(last), records).await.unwrap();
        println!("appended {stream} {last}");
        if stream > 0 && last / SNAPSHOT_EVERY != (last - count) / SNAPSHOT_EVERY {
            let snapshot = Snapshot { sequence: last, state: state(stream, last) };
            log.put_snapshot(&name, snapshot).await.unwrap();
            println!("snapshot {stream} {last}");
        }
    }
}

#[test]
#[ignore = "is run by the test below, which kills it"]
fn a_process_that_appends() {
    let Ok(dir) = env::var(DIR) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(async {
        let log = Arc::new(FileLog::open(dir, OPTIONS).await.unwrap());
        let streams = (0..STREAMS).map(|stream| tokio::spawn(append_for_ever(log.clone(), stream)));
        for stream in streams.collect::<Vec<_>>() {
            stream.await.unwrap();
        }
    });
}

fn start(dir: &Path) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", "a_process_that_appends", "--ignored", "--nocapture", "--test-threads=1"])
        .env(DIR, dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The last sequences that were acknowledged, by what and stream.
#[derive(Debug, Default)]
struct Acknowledged {
    appended: BTreeMap<usize, Sequence>,
    snapshots: BTreeMap<usize, Sequence>,
}

impl Acknowledged {
    /// Takes a line, if the process got to its end before it was killed.
    fn line(&mut self, line: &str) -> bool {
        let Some(line) = line.strip_suffix('\n') else { return false };
        let words = line.split(' ').collect::<Vec<_>>();
        let [what, stream, sequence] = words[..] else { return false };
        let (Ok(stream), Ok(sequence)) = (stream.parse(), sequence.parse()) else { return false };
        match what {
            "appended" => self.appended.insert(stream, sequence),
            "snapshot" => self.snapshots.insert(stream, sequence),
            _ => return false,
        };
        true
    }

    /// Lets a process run until it has had so many acknowledgements, then kills it.
    fn run_and_kill(&mut self, dir: &Path, acknowledgements: usize) {
        let mut child = start(dir);
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        let mut seen = 0;
        while seen < acknowledgements {
            line.clear();
            assert_ne!(output.read_line(&mut line).unwrap(), 0, "it ended by itself after {seen}");
            seen += usize::from(self.line(&line));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let mut rest = String::new();
        output.read_to_string(&mut rest).unwrap();
        for line in rest.split_inclusive('\n') {
            self.line(line);
        }
    }

    async fn check(&self, log: &FileLog) {
        for (stream, acknowledged) in &self.appended {
            let (stream, name) = (*stream, stream.to_string());
            let last = log.last(&name).await.unwrap();
            assert!(last >= *acknowledged, "{name} ends at {last}, {acknowledged} was acknowledged");
            let snapshot = log.snapshot(&name).await.unwrap();
            let replaced = snapshot.as_ref().map_or(0, |snapshot| snapshot.sequence);
            assert!(replaced >= self.snapshots.get(&stream).copied().unwrap_or(0));
            if let Some(snapshot) = snapshot {
                assert_eq!(snapshot.state, state(stream, snapshot.sequence));
                let gone = log.read(&name, replaced, 1).await;
                assert!(matches!(gone, Err(LogError::Compacted { .. })));
            }
            let mut next = replaced + 1;
            while next <= last {
                for entry in log.read(&name, next, usize::MAX).await.unwrap() {
                    assert_eq!((entry.sequence, entry.record), (next, record(stream, next)));
                    next += 1;
                }
            }
        }
    }
}

#[test]
fn what_was_acknowledged_before_a_kill_is_there_after_it() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let dir = TempDir::new().unwrap();
    let mut acknowledged = Acknowledged::default();
    for round in 0..ROUNDS {
        acknowledged.run_and_kill(dir.path(), 1 + round * 37 % 300);
        runtime.block_on(async {
            let log = FileLog::open(dir.path(), OPTIONS).await.unwrap();
            acknowledged.check(&log).await;
        });
    }
    assert_eq!(acknowledged.appended.len(), STREAMS, "all streams took part: {acknowledged:?}");
    assert!(!acknowledged.snapshots.is_empty(), "so did snapshots: {acknowledged:?}");
}

//! What a [`FileLog`] makes of files as a crash, a bad disk or a careless hand may leave them.

#![allow(clippy::unwrap_used, reason = "a case ends at the first surprise")]

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use courant_cluster::{FileLog, FileLogOptions, Log, LogError, Sequence, Snapshot};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::TestRunner;
use tempfile::TempDir;
use tokio::runtime::Runtime;

const STREAMS: usize = 3;

/// Small segments, so that there are several; copies are never synced, so that cases are quick.
const OPTIONS: FileLogOptions = FileLogOptions { fsync: true, segment_bytes: 4096, queue_bytes: 1024 * 1024 };

#[derive(Clone, Debug)]
enum Op {
    /// Records of these lengths.
    Append {
        stream: usize,
        lengths: Vec<usize>,
    },
    /// At this place among what is there.
    PutSnapshot {
        stream: usize,
        at: Index,
    },
    Reopen,
}

fn append() -> impl Strategy<Value = Op> {
    (0..STREAMS, vec(0..600_usize, 1..5)).prop_map(|(stream, lengths)| Op::Append { stream, lengths })
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => append(),
        2 => (0..STREAMS, any::<Index>()).prop_map(|(stream, at)| Op::PutSnapshot { stream, at }),
        1 => Just(Op::Reopen),
    ]
}

/// What was acknowledged.
#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    streams: [Vec<Bytes>; STREAMS],
    snapshots: [Option<Snapshot>; STREAMS],
}

impl Model {
    fn records(&self, stream: usize, lengths: &[usize]) -> Vec<Bytes> {
        let first = self.streams[stream].len();
        let record = |(n, length): (usize, &usize)| {
            let mut record = format!("{stream} {n} ").into_bytes();
            // Never zero, so that a zeroed end is not what was written.
            record.resize(record.len() + length, n as u8 | 1);
            Bytes::from(record)
        };
        (first..).zip(lengths).map(record).collect()
    }

    async fn step(&mut self, log: &FileLog, op: &Op) {
        match op {
            Op::Append { stream, lengths } => {
                let records = self.records(*stream, lengths);
                let last = self.streams[*stream].len() as Sequence;
                let appended = log.append(&name(*stream), Some(last), records.clone()).await.unwrap();
                self.streams[*stream].extend(records);
                assert_eq!(appended, self.streams[*stream].len() as Sequence);
            }
            Op::PutSnapshot { stream, at } => {
                let sequence = at.index(self.streams[*stream].len() + 1) as Sequence;
                let snapshot =
                    Snapshot { sequence, state: Bytes::from(format!("{stream} up to {sequence}")) };
                log.put_snapshot(&name(*stream), snapshot.clone()).await.unwrap();
                let kept = &mut self.snapshots[*stream];
                if kept.as_ref().is_none_or(|kept| kept.sequence <= sequence) {
                    *kept = Some(snapshot);
                }
            }
            Op::Reopen => unreachable!("is not a step of the log's"),
        }
    }

    /// What a log holds, as a model. Records that snapshots stand for are taken from `self`.
    async fn read_back(&self, log: &FileLog) -> Result<Self, LogError> {
        let mut found = Self::default();
        for stream in 0..STREAMS {
            let name = name(stream);
            found.snapshots[stream] = log.snapshot(&name).await?;
            let replaced = found.snapshots[stream].as_ref().map_or(0, |snapshot| snapshot.sequence);
            found.streams[stream] = self.streams[stream][..replaced as usize].to_vec();
            let last = log.last(&name).await?;
            while (found.streams[stream].len() as Sequence) < last {
                let from = found.streams[stream].len() as Sequence + 1;
                let entries = log.read(&name, from, usize::MAX).await?;
                assert!(!entries.is_empty(), "{name} ends at {last}, but nothing is read from {from}");
                found.streams[stream].extend(entries.into_iter().map(|entry| entry.record));
            }
        }
        Ok(found)
    }
}

fn name(stream: usize) -> String {
    format!("stream/{stream}")
}

async fn open(dir: &Path) -> Result<FileLog, LogError> {
    FileLog::open(dir, OPTIONS).await
}

/// Does all of it, and returns the log, still open, and what it acknowledged.
async fn run(dir: &Path, ops: &[Op]) -> (FileLog, Model) {
    let mut log = open(dir).await.unwrap();
    let mut model = Model::default();
    for op in ops {
        if matches!(op, Op::Reopen) {
            drop(log);
            log = open(dir).await.unwrap();
        } else {
            model.step(&log, op).await;
        }
    }
    settle(&log).await;
    (log, model)
}

/// Waits until the log has done what it does after an answer: it gives the room of old records back.
async fn settle(log: &FileLog) {
    log.append(&name(0), None, Vec::new()).await.unwrap();
}

/// The files of a settled log: what a kill at this moment leaves.
fn copy(from: &Path) -> TempDir {
    let to = TempDir::new().unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, to.path().join(path.file_name().unwrap())).unwrap();
    }
    to
}

fn files(dir: &Path, extensions: &[&str]) -> Vec<PathBuf> {
    let paths = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let is_one = |path: &PathBuf| extensions.iter().any(|e| path.extension().is_some_and(|of| of == *e));
    let mut paths = paths.filter(is_one).collect::<Vec<_>>();
    paths.sort();
    paths
}

/// The last segment and its length.
fn end(dir: &Path) -> (PathBuf, u64) {
    let last = files(dir, &["log"]).pop().unwrap();
    let length = fs::metadata(&last).unwrap().len();
    (last.file_name().unwrap().into(), length)
}

fn cut(dir: &Path, file: &Path, length: u64) {
    let file = fs::OpenOptions::new().write(true).open(dir.join(file)).unwrap();
    file.set_len(length).unwrap();
}

fn check<S: Strategy>(strategy: S, case: impl AsyncFn(S::Value)) {
    let runtime = Runtime::new().unwrap();
    let standard = ProptestConfig::default();
    // Each case waits for the disk some dozen times.
    let config = ProptestConfig { cases: standard.cases / 4, failure_persistence: None, ..standard };
    let checked = TestRunner::new(config).run(&strategy, |value| {
        runtime.block_on(case(value));
        Ok(())
    });
    checked.unwrap();
}

#[test]
fn whatever_was_done_a_log_opened_again_holds_it() {
    check(vec(op(), 1..60), async |ops| {
        let dir = TempDir::new().unwrap();
        let (log, model) = run(dir.path(), &ops).await;
        let killed = copy(dir.path());
        assert_eq!(model.read_back(&log).await.unwrap(), model);
        drop(log);
        for dir in [killed.path(), dir.path()] {
            let log = open(dir).await.unwrap();
            assert_eq!(model.read_back(&log).await.unwrap(), model);
        }
    });
}

#[test]
fn an_append_that_is_torn_at_any_byte_is_undone_and_all_before_it_is_there() {
    let case = (vec(op(), 0..40), append(), any::<Index>(), any::<bool>());
    check(case, async |(ops, torn, at, is_zeroed)| {
        let dir = TempDir::new().unwrap();
        let (log, model) = run(dir.path(), &ops).await;
        let (before_file, before) = end(dir.path());
        let mut after_model = model.clone();
        after_model.step(&log, &torn).await;
        let killed = copy(dir.path());
        let (file, after) = end(killed.path());
        // Where it began a segment, the segment itself was complete before its first batch.
        let start = if file == before_file { before } else { 36 };
        let length = start + at.index((after - start) as usize) as u64;
        cut(killed.path(), &file, length);
        if is_zeroed {
            // Some file systems grow the file before they write what is in it.
            cut(killed.path(), &file, after);
        }
        let log = open(killed.path()).await.unwrap();
        assert_eq!(model.read_back(&log).await.unwrap(), model);

        // And the log goes on from there.
        let mut model = model;
        model.step(&log, &torn).await;
        drop(log);
        let log = open(killed.path()).await.unwrap();
        assert_eq!(model.read_back(&log).await.unwrap(), after_model);
    });
}

#[test]
fn a_log_that_is_cut_anywhere_holds_the_appends_before_the_cut_and_no_part_of_another() {
    check((vec(append(), 1..40), any::<Index>()), async |(ops, at)| {
        let dir = TempDir::new().unwrap();
        let log = open(dir.path()).await.unwrap();
        let mut model = Model::default();
        let mut moments = vec![(end(dir.path()), model.clone())];
        for op in &ops {
            model.step(&log, op).await;
            moments.push((end(dir.path()), model.clone()));
        }
        let killed = copy(dir.path());
        let (file, length) = end(killed.path());
        let length = 36 + at.index((length - 36) as usize + 1) as u64;
        cut(killed.path(), &file, length);
        let before_cut = moments.iter().rev().find(|(end, _)| *end <= (file.clone(), length));
        let log = open(killed.path()).await.unwrap();
        assert_eq!(model.read_back(&log).await.unwrap(), before_cut.unwrap().1);
    });
}

#[test]
fn a_bit_that_is_flipped_anywhere_is_reported_or_does_no_harm() {
    let case = (vec(op(), 1..40), any::<Index>(), any::<Index>(), 0..8_u8);
    check(case, async |(ops, file, at, bit)| {
        let dir = TempDir::new().unwrap();
        let (log, model) = run(dir.path(), &ops).await;
        drop(log);
        let files = files(dir.path(), &["log", "snap"]);
        let path = file.get(&files);
        let mut bytes = fs::read(path).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        fs::write(path, &bytes).unwrap();

        // The log ends with a batch of nothing: a flip in that alone may pass for a torn write.
        let is_in_end = path.ends_with(end(dir.path()).0) && at >= bytes.len() - 16;
        let found = match open(dir.path()).await {
            Ok(log) => model.read_back(&log).await,
            Err(error) => Err(error),
        };
        match found {
            Ok(found) => {
                assert!(is_in_end, "a flip at {at} of {} passed", path.display());
                assert_eq!(found, model);
            }
            Err(error) => assert!(matches!(error, LogError::Damaged { .. }), "{error}"),
        }
    });
}

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize};

use tempfile::TempDir;

use super::*;

/// Makes a disk fail on purpose.
#[derive(Debug)]
pub(super) struct Faults {
    room: AtomicUsize,
    no_sync: AtomicBool,
    no_truncate: AtomicBool,
}

impl Default for Faults {
    fn default() -> Self {
        Self { room: AtomicUsize::new(usize::MAX), no_sync: false.into(), no_truncate: false.into() }
    }
}

impl Faults {
    /// How much of a write still fits, where that isn't all.
    pub(super) fn write(&self, bytes: usize) -> Option<usize> {
        let room = self.room.load(Ordering::SeqCst);
        let written = bytes.min(room);
        if room != usize::MAX {
            self.room.store(room - written, Ordering::SeqCst);
        }
        (written < bytes).then_some(written)
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        if self.no_sync.load(Ordering::SeqCst) { Err(io::Error::other("injected")) } else { Ok(()) }
    }

    pub(super) fn truncate(&self) -> io::Result<()> {
        if self.no_truncate.load(Ordering::SeqCst) { Err(io::Error::other("injected")) } else { Ok(()) }
    }
}

fn options() -> FileLogOptions {
    FileLogOptions { segment_bytes: SEGMENT_BYTES_MIN, ..FileLogOptions::default() }
}

async fn open(dir: &TempDir) -> Result<FileLog, LogError> {
    FileLog::open(dir.path(), options()).await
}

fn records(range: std::ops::RangeInclusive<u64>) -> Vec<Bytes> {
    range.map(|n| Bytes::from(format!("record {n} {}", "x".repeat((n * 37 % 300) as usize)))).collect()
}

async fn read_all(log: &FileLog, stream: &str, from: Sequence) -> Vec<Bytes> {
    let mut all = Vec::new();
    loop {
        let entries = log.read(stream, from + all.len() as u64, usize::MAX).await.unwrap();
        if entries.is_empty() {
            return all;
        }
        for entry in entries {
            assert_eq!(entry.sequence, from + all.len() as u64);
            all.push(entry.record);
        }
    }
}

fn files(dir: &TempDir, extension: &str) -> Vec<PathBuf> {
    let paths = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path());
    let mut paths = paths.filter(|path| path.extension().is_some_and(|e| e == extension)).collect::<Vec<_>>();
    paths.sort();
    paths
}

#[tokio::test]
async fn records_are_there_after_the_log_is_opened_again() {
    let dir = TempDir::new().unwrap();
    let log = open(&dir).await.unwrap();
    for n in 1..=100 {
        assert_eq!(log.append("a", Some(n - 1), records(n..=n)).await.unwrap(), n);
    }
    log.append("b", None, records(1..=7)).await.unwrap();
    drop(log);
    assert!(files(&dir, "log").len() > 3, "several segments: {:?}", files(&dir, "log"));

    let log = open(&dir).await.unwrap();
    assert_eq!(read_all(&log, "a", 1).await, records(1..=100));
    assert_eq!(read_all(&log, "b", 1).await, records(1..=7));
    assert_eq!(log.append("a", Some(100), records(101..=101)).await.unwrap(), 101);
}

#[tokio::test]
async fn a_second_opener_is_refused_until_the_first_is_done() {
    let dir = TempDir::new().unwrap();
    let log = open(&dir).await.unwrap();
    let Err(LogError::Storage(why)) = open(&dir).await else { panic!("opened twice") };
    assert!(why.contains("in use by another process"), "{why}");
    drop(log);
    open(&dir).await.unwrap();
}

#[tokio::test]
async fn snapshots_give_the_room_of_old_segments_back_even_beside_a_quiet_stream() {
    let dir = TempDir::new().unwrap();
    let log = open(&dir).await.unwrap();
    for n in 1..=1000 {
        log.append("busy", None, records(n..=n)).await.unwrap();
        if n % 100 == 1 {
            log.append("quiet", None, records(n / 100 + 1..=n / 100 + 1)).await.unwrap();
        }
        if n % 50 == 0 {
            let state = Bytes::from(format!("state {n}"));
            log.put_snapshot("busy", Snapshot { sequence: n, state }).await.unwrap();
        }
    }
    let (segments, snapshots) = (files(&dir, "log"), files(&dir, "snap"));
    assert!(segments.len() <= 6, "of about 40: {segments:?}");
    assert_eq!(snapshots.len(), 1);
    assert_eq!(read_all(&log, "quiet", 1).await, records(1..=10), "moved records are read from their place");
    drop(log);

    let log = open(&dir).await.unwrap();
    assert_eq!(read_all(&log, "quiet", 1).await, records(1..=10));
    assert_eq!(log.last("busy").await.unwrap(), 1000);
    assert!(matches!(log.read("busy", 1000, 1).await, Err(LogError::Compacted { first: 1001 })));
    let snapshot = log.snapshot("busy").await.unwrap().unwrap();
    assert_eq!((snapshot.sequence, &snapshot.state[..]), (1000, &b"state 1000"[..]));
    assert_eq!(log.append("quiet", Some(10), records(11..=11)).await.unwrap(), 11);
}

#[tokio::test]
async fn an_append_on_a_full_disk_fails_and_later_ones_are_whole() {
    let dir = TempDir::new().unwrap();
    let disk = Disk::default();
    let log = FileLog::open_on(disk.clone(), dir.path().into(), options()).await.unwrap();
    log.append("a", None, records(1..=3)).await.unwrap();
    for room in [0, 1, 20, 100] {
        disk.faults.room.store(room, Ordering::SeqCst);
        let failed = log.append("a", None, records(100..=110)).await;
        assert!(matches!(failed, Err(LogError::Storage(_))), "{failed:?}");
        assert_eq!(log.last("a").await.unwrap(), 3);
    }
    disk.faults.room.store(usize::MAX, Ordering::SeqCst);
    assert_eq!(log.append("a", Some(3), records(4..=5)).await.unwrap(), 5);
    drop(log);
    assert_eq!(read_all(&open(&dir).await.unwrap(), "a", 1).await, records(1..=5));
}

#[tokio::test]
async fn a_full_disk_at_the_end_of_a_segment_fails_the_append_and_nothing_else() {
    let dir = TempDir::new().unwrap();
    let disk = Disk::default();
    let log = FileLog::open_on(disk.clone(), dir.path().into(), options()).await.unwrap();
    let large = Bytes::from(vec![7; 3000]);
    log.append("a", None, vec![large.clone()]).await.unwrap();
    disk.faults.room.store(0, Ordering::SeqCst);
    assert!(log.append("a", None, vec![large.clone()]).await.is_err());
    disk.faults.room.store(usize::MAX, Ordering::SeqCst);
    log.append("a", Some(1), vec![large.clone()]).await.unwrap();
    assert_eq!(files(&dir, "log").len(), 2);
    drop(log);
    assert_eq!(read_all(&open(&dir).await.unwrap(), "a", 1).await, [large.clone(), large]);
}

#[tokio::test]
async fn a_log_whose_failed_write_can_not_be_undone_is_closed_until_it_is_opened_again() {
    let dir = TempDir::new().unwrap();
    let disk = Disk::default();
    let log = FileLog::open_on(disk.clone(), dir.path().into(), options()).await.unwrap();
    log.append("a", None, records(1..=3)).await.unwrap();
    disk.faults.room.store(40, Ordering::SeqCst);
    disk.faults.no_truncate.store(true, Ordering::SeqCst);
    assert!(log.append("a", None, records(4..=4)).await.is_err());
    disk.faults.room.store(usize::MAX, Ordering::SeqCst);
    disk.faults.no_truncate.store(false, Ordering::SeqCst);
    let Err(LogError::Storage(why)) = log.append("a", None, records(4..=4)).await else { panic!() };
    assert!(why.contains("closed until a restart"), "{why}");
    assert_eq!(read_all(&log, "a", 1).await, records(1..=3), "what was acknowledged can be read");
    drop(log);

    let log = open(&dir).await.unwrap();
    assert_eq!(log.append("a", Some(3), records(4..=4)).await.unwrap(), 4);
}

#[tokio::test]
async fn a_failed_fsync_closes_the_log() {
    let dir = TempDir::new().unwrap();
    let disk = Disk::default();
    let log = FileLog::open_on(disk.clone(), dir.path().into(), options()).await.unwrap();
    disk.faults.no_sync.store(true, Ordering::SeqCst);
    assert!(log.append("a", None, records(1..=1)).await.is_err());
    disk.faults.no_sync.store(false, Ordering::SeqCst);
    assert!(log.append("a", None, records(1..=1)).await.is_err(), "to sync again would prove nothing");
    assert_eq!(log.last("a").await.unwrap(), 0);
}

#[tokio::test]
async fn a_snapshot_that_can_not_be_written_leaves_the_records() {
    let dir = TempDir::new().unwrap();
    let disk = Disk::default();
    let log = FileLog::open_on(disk.clone(), dir.path().into(), options()).await.unwrap();
    log.append("a", None, records(1..=3)).await.unwrap();
    disk.faults.room.store(0, Ordering::SeqCst);
    let state = Bytes::from_static(b"state");
    assert!(log.put_snapshot("a", Snapshot { sequence: 2, state }).await.is_err());
    assert_eq!(log.snapshot("a").await.unwrap(), None);
    assert_eq!(read_all(&log, "a", 1).await, records(1..=3));
    assert!(files(&dir, "tmp").is_empty() && files(&dir, "snap").is_empty());
}

#[tokio::test]
async fn a_torn_write_is_told_from_damage_by_what_follows() {
    let dir = TempDir::new().unwrap();
    let log = FileLog::open(dir.path(), FileLogOptions::default()).await.unwrap();
    log.append("a", None, records(1..=1)).await.unwrap();
    let file = files(&dir, "log").remove(0);
    let second_at = std::fs::metadata(&file).unwrap().len() as usize;
    log.append("a", None, records(2..=2)).await.unwrap();
    // Not dropped before the copy is made: this is what a kill leaves.
    let killed = std::fs::read(&file).unwrap();
    drop(log);
    let stopped = std::fs::read(&file).unwrap();

    let flip = |bytes: &[u8], at: usize| {
        let mut bytes = bytes.to_vec();
        bytes[at] ^= 4;
        std::fs::write(&file, bytes).unwrap();
    };
    flip(&killed, second_at - 1);
    let damaged = open(&dir).await;
    assert!(matches!(damaged, Err(LogError::Damaged { offset: 36, .. })), "{damaged:?}");
    flip(&killed, second_at + 50);
    assert_eq!(open(&dir).await.unwrap().last("a").await.unwrap(), 1, "the last batch may have been torn");
    flip(&stopped, second_at + 50);
    let damaged = open(&dir).await;
    assert!(
        matches!(damaged, Err(LogError::Damaged { .. })),
        "a clean stop shows that it was whole: {damaged:?}"
    );
}

#[tokio::test]
async fn a_record_that_holds_a_batch_does_not_pass_for_one() {
    let dir = TempDir::new().unwrap();
    let log = FileLog::open(dir.path(), FileLogOptions::default()).await.unwrap();
    log.append("a", None, records(1..=1)).await.unwrap();
    let file = files(&dir, "log").remove(0);
    let batch = Bytes::from(std::fs::read(&file).unwrap().split_off(36));
    log.append("a", None, vec![batch.clone(), batch.clone(), batch]).await.unwrap();
    let killed = std::fs::read(&file).unwrap();
    drop(log);
    std::fs::write(&file, &killed[..killed.len() - 1]).unwrap();
    assert_eq!(open(&dir).await.unwrap().last("a").await.unwrap(), 1, "torn, with no batch behind it");
}

#[tokio::test]
async fn a_segment_that_was_cut_or_lost_is_damage() {
    let dir = TempDir::new().unwrap();
    let log = open(&dir).await.unwrap();
    for n in 1..=100 {
        log.append("a", None, records(n..=n)).await.unwrap();
    }
    drop(log);
    let file = files(&dir, "log").remove(1);
    let whole = std::fs::read(&file).unwrap();
    for length in [whole.len() - 1, whole.len() / 2, 36, 10, 0] {
        std::fs::write(&file, &whole[..length]).unwrap();
        let damaged = open(&dir).await;
        assert!(matches!(damaged, Err(LogError::Damaged { .. })), "{length}: {damaged:?}");
    }
    std::fs::remove_file(&file).unwrap();
    let Err(LogError::Damaged { stream, what, .. }) = open(&dir).await else { panic!() };
    assert_eq!((&*stream, what), ("a", "records before this one are missing"));
    std::fs::write(&file, &whole).unwrap();
    open(&dir).await.unwrap();
}

#[tokio::test]
async fn a_segment_that_lost_whole_batches_is_damage_though_no_record_of_their_stream_follows() {
    let dir = TempDir::new().unwrap();
    let log = open(&dir).await.unwrap();
    log.append("a", None, vec![Bytes::from(vec![1; 2000])]).await.unwrap();
    let file = files(&dir, "log").remove(0);
    let length = std::fs::metadata(&file).unwrap().len();
    log.append("b", None, records(1..=1)).await.unwrap();
    log.append("a", None, vec![Bytes::from(vec![2; 3000])]).await.unwrap();
    assert_eq!(files(&dir, "log").len(), 2);
    drop(log);
    std::fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(length).unwrap();
    let damaged = open(&dir).await;
    assert!(matches!(damaged, Err(LogError::Damaged { offset, .. }) if offset == length), "{damaged:?}");
}

#[tokio::test]
async fn a_damaged_snapshot_is_reported() {
    let dir = TempDir::new().unwrap();
    let log = open(&dir).await.unwrap();
    log.append("a", None, records(1..=3)).await.unwrap();
    let state = Bytes::from_static(b"state");
    log.put_snapshot("a", Snapshot { sequence: 2, state }).await.unwrap();
    let file = files(&dir, "snap").remove(0);
    let whole = std::fs::read(&file).unwrap();
    let change = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        std::fs::write(&file, bytes).unwrap();
    };
    change(whole.len() - 1);
    assert!(matches!(log.snapshot("a").await, Err(LogError::Damaged { .. })));
    drop(log);
    for at in 0..whole.len() - 5 {
        change(at);
        assert!(matches!(open(&dir).await, Err(LogError::Damaged { .. })), "byte {at}");
    }
    std::fs::write(&file, &whole[..whole.len() - 1]).unwrap();
    assert!(matches!(open(&dir).await, Err(LogError::Damaged { .. })));
}

#[tokio::test]
async fn of_two_snapshots_of_a_stream_the_newer_counts_and_the_other_goes() {
    let dir = TempDir::new().unwrap();
    let log = open(&dir).await.unwrap();
    log.append("a", None, records(1..=3)).await.unwrap();
    let put = |sequence, state: &'static str| {
        log.put_snapshot("a", Snapshot { sequence, state: Bytes::from_static(state.as_bytes()) })
    };
    put(1, "old").await.unwrap();
    let old = files(&dir, "snap").remove(0);
    let bytes = std::fs::read(&old).unwrap();
    put(2, "new").await.unwrap();
    drop(log);
    std::fs::write(&old, bytes).unwrap();
    std::fs::write(dir.path().join("00000000000000000009.tmp"), "unfinished").unwrap();

    let log = open(&dir).await.unwrap();
    assert_eq!(log.snapshot("a").await.unwrap().unwrap().sequence, 2);
    assert_eq!((files(&dir, "snap").len(), files(&dir, "tmp").len()), (1, 0));
    assert_eq!(read_all(&log, "a", 3).await, records(3..=3));
}

#[tokio::test]
async fn a_log_without_fsync_says_so_and_gives_up_what_a_power_cut_left_incomplete() {
    let dir = TempDir::new().unwrap();
    let unsynced = FileLogOptions { fsync: false, ..FileLogOptions::default() };
    let log = FileLog::open(dir.path(), unsynced).await.unwrap();
    assert_eq!(log.durability(), Durability::Accepted);
    for n in 1..=3 {
        log.append("a", None, records(n..=n)).await.unwrap();
    }
    drop(log);
    let file = files(&dir, "log").remove(0);
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).unwrap();

    let log = open(&dir).await.unwrap();
    assert_eq!(log.durability(), Durability::Durable);
    assert_eq!(log.last("a").await.unwrap(), 1);
    log.append("a", Some(1), records(2..=2)).await.unwrap();
    assert_eq!(files(&dir, "log").len(), 2, "a segment is written in one way");
}

#[tokio::test]
async fn options_out_of_range_are_refused() {
    let dir = TempDir::new().unwrap();
    for options in [
        FileLogOptions { segment_bytes: 0, ..options() },
        FileLogOptions { segment_bytes: u32::MAX, ..options() },
        FileLogOptions { queue_bytes: 0, ..options() },
    ] {
        assert!(matches!(FileLog::open(dir.path(), options).await, Err(LogError::Invalid(_))));
    }
}

#[tokio::test]
async fn segments_of_small_records_are_not_rewritten_while_those_are_of_use() {
    let dir = TempDir::new().unwrap();
    let log = open(&dir).await.unwrap();
    for n in 0..200 {
        log.append(&"a long name".repeat(9), None, vec![Bytes::from_static(b"x")]).await.unwrap();
        log.put_snapshot("other", Snapshot { sequence: 0, state: Bytes::new() }).await.unwrap();
        assert!(files(&dir, "log")[0].ends_with("0000000001.log"), "{n}: the first segment is of use");
    }
    assert!(files(&dir, "log").len() > 3);
}

//! A log in a directory of this machine.
//!
//! # How it is kept
//!
//! All streams share one write-ahead log, cut into segment files (`0000000001.log`, ...). One thread writes:
//! it takes all appends that wait, whatever their streams, writes them as one checksummed *batch*, syncs once
//! and answers them all. That is why the log is shared: with a file per stream a batch over a hundred trees
//! or documents would wait for a hundred fsyncs. It also makes an append all or nothing, since a batch is.
//!
//! The price is paid elsewhere: opening reads every segment to find out what is where (some seconds per
//! gigabyte), memory holds 12 bytes for each record that no snapshot stands for, and removing old records
//! takes [more than a delete](clean). Owners of streams put snapshots, which keeps all three small.
//!
//! A snapshot is a file of its own (`00000000000000000001.snap`), written beside, synced, renamed, and the
//! directory synced; only then are the records it stands for forgotten.
//!
//! # What can happen to it
//!
//! - *The process is killed, the power goes.* The last batch may be torn. Opening cuts it off; none of it was
//!   acknowledged. That the batch was the last is known by no other following it, and a batch is written only
//!   when the one before is on disk. A clean stop adds an empty batch, so then even the last is known to be whole.
//! - *Bits rot, a file is cut.* Anything but a torn end is [`LogError::Damaged`] when the log is opened or
//!   the record is read; nothing is skipped. The limits: damage to the very last batch after a crash looks the
//!   same as a torn one, and a whole file that was removed is noticed by the records that follow its own.
//!   The error names file and offset; the way back is a copy of the directory, made while no process had it open.
//! - *The disk is full.* The append fails, its bytes are cut off again, and the log goes on. Should the cut
//!   or an fsync fail, nobody knows what the disk has: the log is closed until it is opened again.
//! - *A second process opens it.* That is refused, by a lock on the file `lock`.
//! - *fsync is off.* A kill loses nothing; a power cut may lose the newest batches, in whatever order. Those
//!   from the first incomplete one on are cut off, and [`Durability::Accepted`] is what the log claims.

mod batch;
mod clean;
mod disk;
mod format;
mod index;
mod recover;
mod segment;
mod snapshot;
#[cfg(test)]
mod tests;
mod writer;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::spawn_blocking;

use self::batch::Append;
use self::disk::Disk;
use self::index::{Index, Location, Segment, SnapshotAt};
use self::recover::Recovered;
use self::writer::{Command, PutSnapshot, Writer};
use crate::{Durability, Entry, Log, LogError, Sequence, Snapshot};

/// The longest record, 16 MiB: the largest write of the protocols above.
pub const RECORD_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The most bytes one append may have, 64 MiB: it is written as one batch, which is in memory as a whole.
const APPEND_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The longest name of a stream.
const STREAM_NAME_BYTES_MAX: usize = 1024;

/// The largest snapshot, 1 GiB: it is in memory as a whole.
const SNAPSHOT_BYTES_MAX: usize = 1024 * 1024 * 1024;

/// A read ends when it has this many bytes, whatever was asked for.
const READ_BYTES: u64 = 16 * 1024 * 1024;

/// A read ends when it has this many records, whatever was asked for.
const READ_RECORDS: usize = 4 * 1024;

/// How many appends wait for the writer, whatever their bytes; beyond it callers wait.
const QUEUE_COMMANDS: usize = 1024;

/// How many snapshots are written to disk at a time.
const SNAPSHOT_WRITES: usize = 2;

/// Segments are no shorter than this, for each costs an open file.
const SEGMENT_BYTES_MIN: u32 = 4 * 1024;

/// Segments are no longer than this, for one is read as a whole when the log is opened.
const SEGMENT_BYTES_MAX: u32 = 1024 * 1024 * 1024;

/// How a [`FileLog`] is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileLogOptions {
    /// Whether an append is past the disk's write cache when it is acknowledged. True by default; without it
    /// the log is faster and a power cut loses what was written last.
    pub fsync: bool,
    /// When a segment is full: 64 MiB by default, 4 KiB to 1 GiB. Less gives room back sooner, more makes
    /// fewer files.
    pub segment_bytes: u32,
    /// The most bytes of records that wait to be written, 64 MiB by default; beyond it callers wait.
    pub queue_bytes: u32,
}

/// A [`Log`] in segment files, with group commit.
///
/// Dropping it waits until what was sent is written. An append whose caller no longer waits for it may still
/// happen.
pub struct FileLog {
    dir: PathBuf,
    options: FileLogOptions,
    disk: Disk,
    index: Arc<Mutex<Index>>,
    /// Taken when the log is dropped, which ends the writer.
    commands: Option<mpsc::Sender<Command>>,
    writer: Option<JoinHandle<()>>,
    /// Bytes that may still be queued.
    room: Arc<Semaphore>,
    snapshot_writes: Semaphore,
    snapshot_number: AtomicU64,
}

// === impl FileLog ===

impl FileLog {
    /// Opens the log in a directory, which is made if need be, and checks all that is in it.
    ///
    /// # Errors
    /// [`LogError::Damaged`] where anything but its end is not as it was written, [`LogError::Storage`] where
    /// the directory can't be used or another process uses it, [`LogError::Invalid`] for options out of range.
    pub async fn open(dir: impl Into<PathBuf>, options: FileLogOptions) -> Result<Self, LogError> {
        Self::open_on(Disk::default(), dir.into(), options).await
    }

    async fn open_on(disk: Disk, dir: PathBuf, options: FileLogOptions) -> Result<Self, LogError> {
        options.check()?;
        let opened = blocking(move || {
            let (lock, recovered) = recover::lock_and_recover(&disk, &dir)?;
            let Recovered { index, snapshot_number } = recovered;
            let writer = Writer::new(dir.clone(), options, disk.clone(), index, lock)?;
            Ok((writer, dir, disk, snapshot_number))
        });
        let (writer, dir, disk, snapshot_number) = opened.await?;
        let index = writer.index.clone();
        let (commands, queue) = mpsc::channel(QUEUE_COMMANDS);
        let writer = std::thread::Builder::new()
            .name("log-writer".into())
            .spawn(move || writer.run(queue))
            .map_err(|error| LogError::Storage(format!("can't start the log's writer: {error}")))?;
        Ok(Self {
            dir,
            options,
            disk,
            index,
            commands: Some(commands),
            writer: Some(writer),
            room: Arc::new(Semaphore::new(options.queue_bytes as usize)),
            snapshot_writes: Semaphore::new(SNAPSHOT_WRITES),
            snapshot_number: AtomicU64::new(snapshot_number),
        })
    }

    /// The directory it is in.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    async fn send<T>(
        &self,
        command: Command,
        reply: oneshot::Receiver<Result<T, LogError>>,
    ) -> Result<T, LogError> {
        let commands = self.commands.as_ref().ok_or_else(stopped)?;
        commands.send(command).await.map_err(|_| stopped())?;
        reply.await.map_err(|_| stopped())?
    }

    /// Where up to `records_max` records from `from` on are.
    fn locate(
        &self,
        stream: &str,
        from: Sequence,
        records_max: usize,
    ) -> Result<Vec<(Sequence, Location, Arc<Segment>)>, LogError> {
        let index = self.index.lock();
        let Some(entry) = index.streams.get(stream) else {
            return Ok(Vec::new());
        };
        let from = from.max(1);
        if from < entry.first {
            return Err(LogError::Compacted { first: entry.first });
        }
        let mut found = Vec::new();
        let mut bytes = 0;
        for sequence in (from..=entry.last()).take(records_max.min(READ_RECORDS)) {
            let Some(location) = entry.get(sequence) else { break };
            bytes += u64::from(location.bytes);
            if bytes > READ_BYTES && !found.is_empty() {
                break;
            }
            let Some(slot) = index.segments.get(&location.segment) else { break };
            found.push((sequence, location, slot.segment.clone()));
        }
        Ok(found)
    }

    fn snapshot_at(&self, stream: &str) -> Option<SnapshotAt> {
        self.index.lock().streams.get(stream)?.snapshot
    }
}

#[async_trait]
impl Log for FileLog {
    async fn append(
        &self,
        stream: &str,
        expected: Option<Sequence>,
        records: Vec<Bytes>,
    ) -> Result<Sequence, LogError> {
        check_name(stream)?;
        if let Some(record) = records.iter().find(|record| record.len() > RECORD_BYTES_MAX) {
            let length = record.len();
            return Err(LogError::Invalid(format!(
                "a record of {length} bytes, {RECORD_BYTES_MAX} are allowed"
            )));
        }
        let bytes = format::append_bytes(stream, records.iter().map(Bytes::len));
        if bytes > APPEND_BYTES_MAX {
            return Err(LogError::Invalid(format!(
                "an append of {bytes} bytes, {APPEND_BYTES_MAX} are allowed; make it several"
            )));
        }
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX).min(self.options.queue_bytes);
        let room = self.room.clone().acquire_many_owned(bytes).await.map_err(|_| stopped())?;
        let (reply, answer) = oneshot::channel();
        let append = Append { stream: stream.into(), expected, records, reply, room };
        self.send(Command::Append(append), answer).await
    }

    async fn read(&self, stream: &str, from: Sequence, records_max: usize) -> Result<Vec<Entry>, LogError> {
        let found = self.locate(stream, from, records_max)?;
        if found.is_empty() {
            return Ok(Vec::new());
        }
        let stream = stream.to_owned();
        let read = move || {
            let entries = found.into_iter().map(|(sequence, location, segment)| {
                let record = segment.record(&stream, sequence, location)?;
                Ok(Entry { sequence, record })
            });
            entries.collect()
        };
        blocking(read).await
    }

    async fn last(&self, stream: &str) -> Result<Sequence, LogError> {
        Ok(self.index.lock().last(stream))
    }

    async fn put_snapshot(&self, stream: &str, snapshot: Snapshot) -> Result<(), LogError> {
        check_name(stream)?;
        let bytes = snapshot.state.len();
        if bytes > SNAPSHOT_BYTES_MAX {
            return Err(LogError::Invalid(format!(
                "a snapshot of {bytes} bytes, {SNAPSHOT_BYTES_MAX} are allowed"
            )));
        }
        if !self.index.lock().takes_snapshot(stream, snapshot.sequence)? {
            return Ok(());
        }
        let _turn = self.snapshot_writes.acquire().await.map_err(|_| stopped())?;
        let number = self.snapshot_number.fetch_add(1, Ordering::Relaxed) + 1;
        let at = SnapshotAt { sequence: snapshot.sequence, number };
        let path = snapshot::path(&self.dir, number);
        let (disk, name) = (self.disk.clone(), stream.to_owned());
        let unfinished = blocking(move || {
            snapshot::write(&disk, &path, &name, &snapshot)
                .map_err(|error| LogError::Storage(format!("can't write {}: {error}", path.display())))
        });
        let unfinished = unfinished.await?;
        let (reply, answer) = oneshot::channel();
        let put = PutSnapshot { stream: stream.into(), at, unfinished, reply };
        self.send(Command::Snapshot(put), answer).await
    }

    async fn snapshot(&self, stream: &str) -> Result<Option<Snapshot>, LogError> {
        loop {
            let Some(at) = self.snapshot_at(stream) else {
                return Ok(None);
            };
            let path = snapshot::path(&self.dir, at.number);
            let read = blocking(move || snapshot::read(&path)).await;
            // A newer one may have taken its place, and its file, since it was looked up.
            if read.is_ok() || self.snapshot_at(stream) == Some(at) {
                return read.map(Some);
            }
        }
    }

    fn durability(&self) -> Durability {
        if self.options.fsync { Durability::Durable } else { Durability::Accepted }
    }
}

impl Drop for FileLog {
    fn drop(&mut self) {
        self.commands = None;
        if let Some(writer) = self.writer.take() {
            // A panic has been printed; there is nobody left to tell.
            let _ = writer.join();
        }
    }
}

impl fmt::Debug for FileLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileLog")
            .field("dir", &self.dir)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

// === impl FileLogOptions ===

impl Default for FileLogOptions {
    fn default() -> Self {
        Self { fsync: true, segment_bytes: 64 * 1024 * 1024, queue_bytes: 64 * 1024 * 1024 }
    }
}

impl FileLogOptions {
    fn check(&self) -> Result<(), LogError> {
        if !(SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX).contains(&self.segment_bytes) {
            return Err(LogError::Invalid(format!(
                "segments of {} bytes, {SEGMENT_BYTES_MIN} to {SEGMENT_BYTES_MAX} are allowed",
                self.segment_bytes
            )));
        }
        if self.queue_bytes == 0 {
            return Err(LogError::Invalid("a queue of 0 bytes, at least 1 is needed".into()));
        }
        Ok(())
    }
}

fn check_name(stream: &str) -> Result<(), LogError> {
    if stream.is_empty() || stream.len() > STREAM_NAME_BYTES_MAX {
        return Err(LogError::Invalid(format!(
            "a stream name of {} bytes, 1 to {STREAM_NAME_BYTES_MAX} are allowed",
            stream.len()
        )));
    }
    Ok(())
}

/// Runs what waits for the disk off the runtime's threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LogError> + Send + 'static,
) -> Result<T, LogError> {
    spawn_blocking(work).await.map_err(|_| stopped())?
}

fn stopped() -> LogError {
    LogError::Storage("the log has stopped".into())
}

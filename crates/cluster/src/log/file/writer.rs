//! The one thread that changes the log.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use tracing::{error, warn};

use super::batch::{Append, Batch};
use super::disk::{Disk, PutError, Unfinished};
use super::format::{self, SEGMENT_HEADER_BYTES, SegmentHeader};
use super::index::{Index, Segment, Slot, SnapshotAt};
use super::{FileLogOptions, segment, snapshot};
use crate::LogError;

/// A batch takes no more appends once it has this many bytes, so that the first in it does not wait for too
/// many others. A single append may be larger.
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// What the writer is asked to do.
#[derive(Debug)]
pub(super) enum Command {
    Append(Append),
    Snapshot(PutSnapshot),
}

/// A snapshot that was written, and is to take its stream's records' place.
#[derive(Debug)]
pub(super) struct PutSnapshot {
    pub(super) stream: Arc<str>,
    pub(super) at: SnapshotAt,
    pub(super) unfinished: Unfinished,
    pub(super) reply: oneshot::Sender<Result<(), LogError>>,
}

/// Owns the end of the log.
pub(super) struct Writer {
    pub(super) dir: PathBuf,
    options: FileLogOptions,
    disk: Disk,
    pub(super) index: Arc<Mutex<Index>>,
    /// The last segment.
    pub(super) active: Arc<Segment>,
    /// Its good length: where the next batch goes.
    active_bytes: u64,
    /// Why nothing can be written any more: it is not known what the disk has.
    closed: Option<String>,
    /// Keeps other processes out.
    _lock: File,
}

impl Writer {
    pub(super) fn new(
        dir: PathBuf,
        options: FileLogOptions,
        disk: Disk,
        index: Index,
        lock: File,
    ) -> Result<Self, LogError> {
        let last = index.segments.last_key_value().map(|(_, slot)| (slot.segment.clone(), slot.bytes));
        let index = Arc::new(Mutex::new(index));
        let failed = |error: io::Error| {
            LogError::Storage(format!("can't prepare a segment in {}: {error}", dir.display()))
        };
        if let Some((segment, _)) = &last {
            // What was read may be in the page cache alone, if the process before this was killed.
            disk.sync(&segment.file).map_err(failed)?;
        }
        let (active, active_bytes) = match last {
            Some((segment, bytes)) if segment.header.synced == options.fsync => (segment, bytes),
            last => add_segment(&disk, &dir, options, &index, last.as_ref().map(|(s, b)| (&**s, *b)))
                .map_err(|put| failed(put.into()))?,
        };
        Ok(Self { dir, options, disk, index, active, active_bytes, closed: None, _lock: lock })
    }

    /// Works until every sender is gone and all they sent is done.
    pub(super) fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        while let Some(command) = commands.blocking_recv() {
            let mut next = Some(command);
            while let Some(command) = next {
                next = match command {
                    Command::Append(append) => self.append(append, &mut commands),
                    Command::Snapshot(put) => {
                        self.put_snapshot(put);
                        None
                    }
                };
            }
        }
        self.seal();
    }

    /// Writes an append and those that wait behind it. Returns the command that ended the batch, if one did.
    fn append(&mut self, first: Append, commands: &mut mpsc::Receiver<Command>) -> Option<Command> {
        let mut batch = Batch::new();
        let mut next = Some(Command::Append(first));
        while let Some(Command::Append(append)) = next {
            let last = self.index.lock().last(&append.stream);
            batch.stage(append, last);
            next = if batch.bytes.len() < BATCH_BYTES { commands.try_recv().ok() } else { None };
        }
        let written = self.commit(&mut batch, self.options.fsync);
        batch.answer(written);
        next
    }

    /// Writes a batch and enters its records. After an error the log is as it was, or closed.
    pub(super) fn commit(&mut self, batch: &mut Batch, sync: bool) -> Result<(), String> {
        if let Some(why) = &self.closed {
            return Err(why.clone());
        }
        if batch.records.is_empty() {
            return Ok(());
        }
        self.write(&mut batch.bytes, sync)?;
        let at = self.active_bytes - batch.bytes.len() as u64;
        let number = self.active.header.number;
        let mut index = self.index.lock();
        for placed in &batch.records {
            let location = segment::location(number, at, &placed.range);
            index.put(&placed.stream, placed.sequence, location);
        }
        let record_bytes = batch.records.iter().map(|placed| placed.range.len() as u64).sum();
        index.grow(number, self.active_bytes, record_bytes);
        Ok(())
    }

    /// Writes the bytes of a batch at the end of the log.
    fn write(&mut self, bytes: &mut [u8], sync: bool) -> Result<(), String> {
        let is_empty = self.active_bytes <= SEGMENT_HEADER_BYTES as u64;
        if !is_empty && self.active_bytes + bytes.len() as u64 > u64::from(self.options.segment_bytes) {
            self.rotate()?;
        }
        format::seal_batch(bytes, self.active.header.salt, self.active_bytes);
        let file = &self.active.file;
        if let Err(error) = self.disk.write_at(file, bytes, self.active_bytes) {
            let why = format!("can't write to {}: {error}", self.active.path.display());
            // The next batch goes to the same place, and nothing of this one may be left behind it.
            return match self.disk.truncate(file, self.active_bytes) {
                Ok(()) => {
                    warn!(%error, file = %self.active.path.display(), "an append failed");
                    Err(why)
                }
                Err(_) => Err(self.close(why)),
            };
        }
        // After a failed fsync the kernel may call the same pages clean: to try again would prove nothing.
        if sync && let Err(error) = self.disk.sync(file) {
            return Err(self.close(format!("can't sync {}: {error}", self.active.path.display())));
        }
        self.active_bytes += bytes.len() as u64;
        Ok(())
    }

    /// Ends the last segment and begins another.
    fn rotate(&mut self) -> Result<(), String> {
        // Only the last segment may have a torn end.
        if !self.options.fsync
            && let Err(error) = self.disk.sync(&self.active.file)
        {
            return Err(self.close(format!("can't sync {}: {error}", self.active.path.display())));
        }
        let previous = Some((&*self.active, self.active_bytes));
        match add_segment(&self.disk, &self.dir, self.options, &self.index, previous) {
            Ok((segment, bytes)) => {
                self.active = segment;
                self.active_bytes = bytes;
                Ok(())
            }
            Err(PutError::Absent(error)) => {
                warn!(%error, dir = %self.dir.display(), "an append failed, for want of a segment");
                Err(format!("can't make a segment in {}: {error}", self.dir.display()))
            }
            Err(PutError::Unknown(error)) => {
                Err(self.close(format!("can't make a segment in {}: {error}", self.dir.display())))
            }
        }
    }

    fn put_snapshot(&mut self, put: PutSnapshot) {
        let PutSnapshot { stream, at, unfinished, reply } = put;
        let kept = self.keep_snapshot(&stream, at, unfinished);
        let is_kept = kept.is_ok();
        let _ = reply.send(kept);
        if is_kept {
            self.clean();
        }
    }

    fn keep_snapshot(
        &mut self,
        stream: &Arc<str>,
        at: SnapshotAt,
        written: Unfinished,
    ) -> Result<(), LogError> {
        if let Some(why) = &self.closed {
            return Err(LogError::Storage(why.clone()));
        }
        if !self.index.lock().takes_snapshot(stream, at.sequence)? {
            return Ok(());
        }
        let path = snapshot::path(&self.dir, at.number);
        if let Err(put) = self.disk.finish(written, &path) {
            // If it's there all the same, it is as good as the records, which all stay.
            let _ = fs::remove_file(&path);
            let error = io::Error::from(put);
            return Err(LogError::Storage(format!("can't keep {}: {error}", path.display())));
        }
        let replaced = self.index.lock().put_snapshot(stream, at);
        if let Some(replaced) = replaced {
            let path = snapshot::path(&self.dir, replaced.number);
            if let Err(error) = fs::remove_file(&path) {
                warn!(%error, file = %path.display(), "can't remove a replaced snapshot, the next start will");
            }
        }
        Ok(())
    }

    /// Ends the log with a batch of nothing, which shows at the next open that all before it was complete.
    fn seal(&mut self) {
        if self.closed.is_none() && self.active_bytes > SEGMENT_HEADER_BYTES as u64 {
            // It is logged already if this fails, and nothing was promised.
            let _ = self.write(&mut Batch::new().bytes, true);
        }
    }

    /// Takes no more appends until the log is opened again, which finds out what the disk has.
    fn close(&mut self, why: String) -> String {
        error!(why, "the log is closed until a restart");
        let why = format!("{why}; the log is closed until a restart");
        self.closed = Some(why.clone());
        why
    }
}

/// Makes the segment after `previous`, and enters it.
fn add_segment(
    disk: &Disk,
    dir: &std::path::Path,
    options: FileLogOptions,
    index: &Mutex<Index>,
    previous: Option<(&Segment, u64)>,
) -> Result<(Arc<Segment>, u64), PutError> {
    let header = SegmentHeader {
        number: previous.map_or(1, |(segment, _)| segment.header.number + 1),
        synced: options.fsync,
        salt: rand::random(),
        previous_bytes: previous.map_or(0, |(_, bytes)| bytes),
    };
    let segment = Arc::new(segment::create(disk, dir, header)?);
    let bytes = SEGMENT_HEADER_BYTES as u64;
    index.lock().segments.insert(header.number, Slot::new(segment.clone(), bytes, 0));
    Ok((segment, bytes))
}

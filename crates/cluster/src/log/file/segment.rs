//! Making, reading and recovering segment files.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use tracing::warn;

use super::disk::{Disk, PutError};
use super::format::{self, Group, SEGMENT_HEADER_BYTES, SegmentHeader};
use super::index::{Location, Segment};
use crate::{LogError, Sequence};

pub(super) const EXTENSION: &str = "log";

pub(super) fn path(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("{number:010}.{EXTENSION}"))
}

/// Makes an empty segment, complete and for good, or not at all.
pub(super) fn create(disk: &Disk, dir: &Path, header: SegmentHeader) -> Result<Segment, PutError> {
    let path = path(dir, header.number);
    let unfinished = disk.write_unfinished(&path, &[&header.encode()]).map_err(PutError::Absent)?;
    let file = disk.finish(unfinished, &path)?;
    let file = match file {
        Some(file) => file,
        None => open(&path).map_err(PutError::Unknown)?,
    };
    Ok(Segment { header, path, file })
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(path)
}

/// Opens a segment and reads all of it.
pub(super) fn read(dir: &Path, number: u32) -> Result<(Segment, Vec<u8>), LogError> {
    let path = path(dir, number);
    let failed = |error| LogError::Storage(format!("can't read {}: {error}", path.display()));
    let mut file = open(&path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(failed)?;
    let damaged =
        |what| LogError::Damaged { stream: "*".into(), file: path.display().to_string(), offset: 0, what };
    let header = SegmentHeader::decode(&bytes).map_err(|malformed| damaged(malformed.0))?;
    if header.number != number {
        return Err(damaged("it is another segment than its name says"));
    }
    Ok((Segment { header, path, file }, bytes))
}

impl Segment {
    /// Calls `each` for each batch, and returns the length up to which the segment is good.
    ///
    /// Less than the whole is good only at the end of the last segment, where a write may have been torn. A
    /// batch that is followed by another was on disk before that was written, so there it's damage.
    pub(super) fn batches(
        &self,
        bytes: &[u8],
        is_last: bool,
        mut each: impl FnMut(u64, Vec<Group<'_>>),
    ) -> Result<u64, LogError> {
        let salt = self.header.salt;
        let mut at = SEGMENT_HEADER_BYTES;
        while at < bytes.len() {
            match format::decode_batch(&bytes[at..], salt, at as u64) {
                Ok((length, groups)) => {
                    each(at as u64, groups);
                    at += length;
                }
                Err(malformed) => {
                    let torn =
                        is_last && (!self.header.synced || format::find_batch(bytes, at + 1, salt).is_none());
                    if !torn {
                        return Err(self.damaged("*", at as u64, malformed.0));
                    }
                    let lost = bytes.len() - at;
                    warn!(file = %self.path.display(), offset = at, bytes = lost, "cutting off a torn write");
                    break;
                }
            }
        }
        Ok(at as u64)
    }

    /// Reads one record.
    pub(super) fn record(
        &self,
        stream: &str,
        sequence: Sequence,
        location: Location,
    ) -> Result<Bytes, LogError> {
        let offset = u64::from(location.offset);
        let mut bytes = vec![0; location.bytes as usize];
        self.file.read_exact_at(&mut bytes, offset).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => self.damaged(stream, offset, "the file ends within a record"),
            _ => LogError::Storage(format!("can't read {}: {error}", self.path.display())),
        })?;
        match format::decode_record(&bytes, sequence) {
            Ok(_) => Ok(Bytes::from(bytes).slice(format::RECORD_HEADER_BYTES..)),
            Err(malformed) => Err(self.damaged(stream, offset, malformed.0)),
        }
    }
}

/// Where in a segment a record of a batch is.
pub(super) fn location(segment: u32, batch_at: u64, record: &std::ops::Range<usize>) -> Location {
    // Segments are far shorter than 4 GiB: the options and the bounds on appends see to that.
    let offset = u32::try_from(batch_at).unwrap_or(u32::MAX).saturating_add(record.start as u32);
    Location { segment, offset, bytes: record.len() as u32 }
}

/// The bytes of a record, without its header, in those of a segment.
pub(super) fn record_bytes<'a>(
    segment: &'a [u8],
    batch_at: u64,
    record: &std::ops::Range<usize>,
) -> &'a [u8] {
    let at = batch_at as usize;
    &segment[at + record.start + format::RECORD_HEADER_BYTES..at + record.end]
}

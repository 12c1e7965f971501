//! Snapshot files.
//!
//! ```text
//! magic 8 | sequence u64 | state length u64 | crc of state u32 | name length u16 | name | crc of these u32 | state
//! ```
//!
//! The name of the stream is inside; the file's own is a number, so no stream name, however long or odd, can
//! meet another's or leave the directory. A new snapshot is a new file: the older one is removed once the
//! newer one is there for good, and if both are found the newer counts.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::disk::{Disk, Unfinished};
use super::format::Reader;
use crate::{LogError, Sequence, Snapshot};

pub(super) const EXTENSION: &str = "snap";
const MAGIC: &[u8; 8] = b"COURSNP1";
const FIXED_BYTES: usize = 30;

/// What a snapshot file says about itself.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) stream: String,
    pub(super) sequence: Sequence,
    state_bytes: u64,
    state_crc: u32,
}

pub(super) fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:020}.{EXTENSION}"))
}

/// Writes a snapshot so that it only wants its name.
pub(super) fn write(disk: &Disk, path: &Path, stream: &str, snapshot: &Snapshot) -> io::Result<Unfinished> {
    let name_bytes = u16::try_from(stream.len()).unwrap_or(u16::MAX);
    let mut header = Vec::with_capacity(FIXED_BYTES + stream.len() + 4);
    header.extend_from_slice(MAGIC);
    header.extend_from_slice(&snapshot.sequence.to_le_bytes());
    header.extend_from_slice(&(snapshot.state.len() as u64).to_le_bytes());
    header.extend_from_slice(&crc32fast::hash(&snapshot.state).to_le_bytes());
    header.extend_from_slice(&name_bytes.to_le_bytes());
    header.extend_from_slice(stream.as_bytes());
    let crc = crc32fast::hash(&header);
    header.extend_from_slice(&crc.to_le_bytes());
    disk.write_unfinished(path, &[&header, &snapshot.state])
}

/// Reads what a snapshot says about itself, and checks that it is of the right length.
pub(super) fn read_header(path: &Path) -> Result<Header, LogError> {
    open(path).map(|(header, _)| header)
}

/// Reads a snapshot.
pub(super) fn read(path: &Path) -> Result<Snapshot, LogError> {
    let (header, mut file) = open(path)?;
    let mut state = Vec::with_capacity(usize::try_from(header.state_bytes).unwrap_or(0));
    file.read_to_end(&mut state).map_err(|error| failed(path, &error))?;
    if crc32fast::hash(&state) != header.state_crc {
        return Err(damaged(path, &header.stream, "the state's checksum does not match"));
    }
    Ok(Snapshot { sequence: header.sequence, state: Bytes::from(state) })
}

/// The file stands where its state begins.
fn open(path: &Path) -> Result<(Header, File), LogError> {
    let mut file = File::open(path).map_err(|error| failed(path, &error))?;
    let mut fixed = Vec::with_capacity(FIXED_BYTES);
    let mut rest = Vec::new();
    (&mut file).take(FIXED_BYTES as u64).read_to_end(&mut fixed).map_err(|error| failed(path, &error))?;
    let name_bytes = match fixed[..] {
        [.., low, high] if fixed.len() == FIXED_BYTES => u16::from_le_bytes([low, high]),
        _ => 0,
    };
    let rest_bytes = u64::from(name_bytes) + 4;
    (&mut file).take(rest_bytes).read_to_end(&mut rest).map_err(|error| failed(path, &error))?;
    let header = decode(&fixed, &rest).ok_or_else(|| damaged(path, "*", "its header is damaged"))?;

    let length = file.metadata().map_err(|error| failed(path, &error))?.len();
    if Some(length) != header.state_bytes.checked_add(FIXED_BYTES as u64 + rest_bytes) {
        return Err(damaged(path, &header.stream, "it has not the length it was written with"));
    }
    Ok((header, file))
}

fn decode(fixed: &[u8], rest: &[u8]) -> Option<Header> {
    let mut reader = Reader(fixed);
    let magic = reader.take(MAGIC.len())?;
    let (sequence, state_bytes, state_crc) = (reader.u64()?, reader.u64()?, reader.u32()?);
    let (name, crc) = rest.split_last_chunk::<4>()?;
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(fixed);
    hasher.update(name);
    if magic != MAGIC || hasher.finalize().to_le_bytes() != *crc {
        return None;
    }
    let stream = String::from_utf8(name.to_vec()).ok()?;
    Some(Header { stream, sequence, state_bytes, state_crc })
}

fn damaged(path: &Path, stream: &str, what: &'static str) -> LogError {
    LogError::Damaged { stream: stream.into(), file: path.display().to_string(), offset: 0, what }
}

fn failed(path: &Path, error: &io::Error) -> LogError {
    LogError::Storage(format!("can't read {}: {error}", path.display()))
}

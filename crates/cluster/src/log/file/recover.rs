//! What is in a directory when the log is opened.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use super::disk::{self, Disk, UNFINISHED};
use super::index::{Index, Location, Slot, SnapshotAt, Stream};
use super::{segment, snapshot};
use crate::{LogError, Sequence};

/// A log as it was found, its torn tail cut off.
#[derive(Debug, Default)]
pub(super) struct Recovered {
    pub(super) index: Index,
    /// The highest number of a snapshot file.
    pub(super) snapshot_number: u64,
}

/// Live records by stream. Ordered, for those that were moved come after their successors.
type Records = HashMap<Arc<str>, BTreeMap<Sequence, Location>>;

/// Reads everything and checks it. Only a torn tail and files that were never finished are removed; any other
/// fault is an error, and nothing is changed after it.
pub(super) fn recover(disk: &Disk, dir: &Path) -> Result<Recovered, LogError> {
    let files = Files::list(dir)?;
    let mut recovered = Recovered::default();
    for number in files.snapshots {
        recovered.snapshot_number = number;
        add_snapshot(&mut recovered.index, dir, number)?;
    }
    let mut records = Records::new();
    let last = files.segments.last().copied();
    for number in files.segments {
        add_segment(disk, &mut recovered.index, &mut records, dir, number, Some(number) == last)?;
    }
    enter(&mut recovered.index, records)?;
    Ok(recovered)
}

/// The numbers of what there is.
#[derive(Debug, Default)]
struct Files {
    segments: BTreeSet<u32>,
    snapshots: BTreeSet<u64>,
}

impl Files {
    fn list(dir: &Path) -> Result<Self, LogError> {
        let failed = |error| LogError::Storage(format!("can't read {}: {error}", dir.display()));
        let mut files = Self::default();
        for entry in fs::read_dir(dir).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            match path.extension().and_then(|extension| extension.to_str()) {
                Some(UNFINISHED) => fs::remove_file(&path).map_err(failed)?,
                Some(segment::EXTENSION) => files.segments.extend(stem.parse::<u32>()),
                Some(snapshot::EXTENSION) => files.snapshots.extend(stem.parse::<u64>()),
                _ => {}
            }
        }
        Ok(files)
    }
}

/// Enters a snapshot, and removes the older one of its stream if that is still there.
fn add_snapshot(index: &mut Index, dir: &Path, number: u64) -> Result<(), LogError> {
    let header = snapshot::read_header(&snapshot::path(dir, number))?;
    let at = SnapshotAt { sequence: header.sequence, number };
    let found = index.streams.get(header.stream.as_str()).and_then(|stream| stream.snapshot);
    let older = match found {
        // Numbers rise, so of two at the same sequence the later one is the newer.
        Some(found) if found.sequence > at.sequence => Some(at),
        _ => index.put_snapshot(&Arc::from(header.stream), at),
    };
    if let Some(older) = older {
        let path = snapshot::path(dir, older.number);
        fs::remove_file(&path)
            .map_err(|error| LogError::Storage(format!("can't remove {}: {error}", path.display())))?;
    }
    Ok(())
}

fn add_segment(
    disk: &Disk,
    index: &mut Index,
    records: &mut Records,
    dir: &Path,
    number: u32,
    is_last: bool,
) -> Result<(), LogError> {
    let (segment, bytes) = segment::read(dir, number)?;
    if let Some(previous) = number.checked_sub(1).and_then(|previous| index.segments.get(&previous))
        && previous.bytes != segment.header.previous_bytes
    {
        return Err(previous.segment.damaged("*", previous.bytes, "the segment lost its end"));
    }
    let mut record_bytes = 0;
    let good = segment.batches(&bytes, is_last, |at, groups| {
        for group in groups {
            record_bytes += group.records.iter().map(|record| record.len() as u64).sum::<u64>();
            let snapshot = index.streams.get(group.stream).map_or(0, |stream| stream.first - 1);
            let sequences = group.first..;
            for (sequence, record) in sequences.zip(&group.records).filter(|(s, _)| *s > snapshot) {
                let location = segment::location(number, at, record);
                if !records.contains_key(group.stream) {
                    records.insert(group.stream.into(), BTreeMap::new());
                }
                if let Some(stream) = records.get_mut(group.stream) {
                    stream.insert(sequence, location);
                }
            }
        }
    })?;
    if good < bytes.len() as u64 {
        let cut = disk.truncate(&segment.file, good).and_then(|()| disk.sync(&segment.file));
        cut.map_err(|error| LogError::Storage(format!("can't cut {}: {error}", segment.path.display())))?;
    }
    index.segments.insert(number, Slot::new(Arc::new(segment), good, record_bytes));
    Ok(())
}

/// Enters the records, and checks that none is missing between a stream's snapshot and its end.
fn enter(index: &mut Index, records: Records) -> Result<(), LogError> {
    for (name, records) in records {
        for (sequence, location) in records {
            let expected = index.streams.get(&name).map_or(1, |stream: &Stream| stream.last() + 1);
            if sequence != expected {
                let segment = index.segments.get(&location.segment).map(|slot| slot.segment.clone());
                let offset = u64::from(location.offset);
                return Err(match segment {
                    Some(segment) => segment.damaged(&name, offset, "records before this one are missing"),
                    None => LogError::Storage("the log changed while it was opened".into()),
                });
            }
            index.put(&name, sequence, location);
        }
    }
    Ok(())
}

/// Takes a directory for this process and reads what is in it. The lock holds as long as its file is open.
pub(super) fn lock_and_recover(disk: &Disk, dir: &Path) -> Result<(fs::File, Recovered), LogError> {
    let lock = disk::lock(dir)?;
    Ok((lock, recover(disk, dir)?))
}

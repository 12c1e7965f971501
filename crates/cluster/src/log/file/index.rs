//! Where every live record is, in memory.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use super::format::SegmentHeader;
use crate::{LogError, Sequence};

/// Streams and segments. Changed by the writer alone, after the disk has what it says.
#[derive(Debug, Default)]
pub(super) struct Index {
    pub(super) streams: HashMap<Arc<str>, Stream>,
    pub(super) segments: BTreeMap<u32, Slot>,
}

/// One stream: 12 bytes for each record that no snapshot stands for.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) snapshot: Option<SnapshotAt>,
    /// The sequence of the first of `records`, or of the next one where there is none.
    pub(super) first: Sequence,
    pub(super) records: VecDeque<Location>,
}

/// Where a record is, its header included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Location {
    pub(super) segment: u32,
    pub(super) offset: u32,
    pub(super) bytes: u32,
}

/// Where a stream's snapshot is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SnapshotAt {
    /// The last record it stands for.
    pub(super) sequence: Sequence,
    /// The number of its file.
    pub(super) number: u64,
}

/// A segment and how much of it is of use.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) segment: Arc<Segment>,
    pub(super) bytes: u64,
    /// Bytes of all records in it. With what stands around them a segment of small ones is far longer.
    pub(super) record_bytes: u64,
    /// Bytes of those that are of use: no snapshot stands for them, and they were not moved.
    pub(super) live_bytes: u64,
    /// It could not be read when its live records were to be moved, so that isn't tried again.
    pub(super) unreadable: bool,
}

/// An open segment file. Readers hold it, so that it can be unlinked under them.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) header: SegmentHeader,
    pub(super) path: PathBuf,
    pub(super) file: File,
}

// === impl Index ===

impl Index {
    /// The last sequence of a stream, 0 where there is none.
    pub(super) fn last(&self, stream: &str) -> Sequence {
        self.streams.get(stream).map_or(0, Stream::last)
    }

    /// Enters a record that is the stream's next, or one that has moved.
    pub(super) fn put(&mut self, stream: &Arc<str>, sequence: Sequence, location: Location) {
        let Self { streams, segments } = self;
        let entry = streams.entry(stream.clone()).or_default();
        match entry.place(sequence) {
            Some(place) => retire(segments, std::mem::replace(place, location)),
            None => {
                debug_assert_eq!(sequence, entry.last() + 1, "records of a stream follow each other");
                entry.records.push_back(location);
            }
        }
        if let Some(slot) = segments.get_mut(&location.segment) {
            slot.live_bytes += u64::from(location.bytes);
        }
    }

    /// Counts what was written to a segment.
    pub(super) fn grow(&mut self, segment: u32, bytes: u64, record_bytes: u64) {
        if let Some(slot) = self.segments.get_mut(&segment) {
            slot.bytes = bytes;
            slot.record_bytes += record_bytes;
        }
    }

    /// Whether a snapshot at this sequence would be the stream's newest.
    pub(super) fn takes_snapshot(&self, stream: &str, sequence: Sequence) -> Result<bool, LogError> {
        let last = self.last(stream);
        if sequence > last {
            return Err(LogError::Invalid(format!(
                "a snapshot up to {sequence} of stream {stream}, which ends at {last}"
            )));
        }
        let kept = self.streams.get(stream).and_then(|stream| stream.snapshot);
        Ok(kept.is_none_or(|kept| kept.sequence <= sequence))
    }

    /// Enters a snapshot and forgets the records it stands for. Returns the snapshot it replaces.
    pub(super) fn put_snapshot(&mut self, stream: &Arc<str>, at: SnapshotAt) -> Option<SnapshotAt> {
        let Self { streams, segments } = self;
        let entry = streams.entry(stream.clone()).or_default();
        let replaced = entry.snapshot.replace(at);
        let gone = (at.sequence + 1).saturating_sub(entry.first);
        let gone = entry.records.len().min(usize::try_from(gone).unwrap_or(usize::MAX));
        entry.records.drain(..gone).for_each(|location| retire(segments, location));
        entry.records.shrink_to(entry.records.len() * 2);
        entry.first = entry.first.max(at.sequence + 1);
        replaced
    }

    /// Whether the record is where the index has it, so that it's neither replaced by a snapshot nor a copy.
    pub(super) fn is_live(&self, stream: &str, sequence: Sequence, location: Location) -> bool {
        let stream = self.streams.get(stream);
        stream.and_then(|stream| stream.get(sequence)).is_some_and(|live| live == location)
    }
}

/// Counts a record's bytes as of no use any more.
fn retire(segments: &mut BTreeMap<u32, Slot>, location: Location) {
    if let Some(slot) = segments.get_mut(&location.segment) {
        slot.live_bytes -= u64::from(location.bytes);
    }
}

// === impl Slot ===

impl Slot {
    /// A segment of this length, before its records are entered.
    pub(super) fn new(segment: Arc<Segment>, bytes: u64, record_bytes: u64) -> Self {
        Self { segment, bytes, record_bytes, live_bytes: 0, unreadable: false }
    }
}

// === impl Stream ===

impl Default for Stream {
    fn default() -> Self {
        Self { snapshot: None, first: 1, records: VecDeque::new() }
    }
}

impl Stream {
    pub(super) fn last(&self) -> Sequence {
        self.first - 1 + self.records.len() as u64
    }

    pub(super) fn get(&self, sequence: Sequence) -> Option<Location> {
        let nth = usize::try_from(sequence.checked_sub(self.first)?).ok()?;
        self.records.get(nth).copied()
    }

    fn place(&mut self, sequence: Sequence) -> Option<&mut Location> {
        let nth = usize::try_from(sequence.checked_sub(self.first)?).ok()?;
        self.records.get_mut(nth)
    }
}

// === impl Segment ===

impl Segment {
    /// The error for something wrong in this segment.
    pub(super) fn damaged(&self, stream: &str, offset: u64, what: &'static str) -> LogError {
        LogError::Damaged { stream: stream.into(), file: self.path.display().to_string(), offset, what }
    }
}

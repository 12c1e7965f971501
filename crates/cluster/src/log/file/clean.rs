//! Giving back the room of records that snapshots stand for.
//!
//! A segment holds records of many streams, and one of a quiet stream would keep all of it. So a sealed
//! segment that is mostly of no use has its few live records written again at the log's end, where they keep
//! their sequences, and is then removed like one that has none. If the process dies between, both copies are
//! found, and either will do.

use std::fs;
use std::sync::Arc;

use tracing::{error, warn};

use super::batch::Batch;
use super::segment;
use super::writer::Writer;
use crate::LogError;

/// A segment is rewritten when less than one part in this many of its records is of use. That bounds the disk to
/// four times the live records and some segments, and what is written again to a third of what is freed.
const LIVE_PART: u64 = 4;

impl Writer {
    /// Removes sealed segments that are of no use, and rewrites at most one that is of little. One, for
    /// appends wait meanwhile.
    pub(super) fn clean(&mut self) {
        self.remove_dead();
        let active = self.active.header.number;
        let mostly_dead = self.index.lock().segments.iter().find_map(|(number, slot)| {
            let is_mostly_dead = !slot.unreadable && slot.live_bytes * LIVE_PART < slot.record_bytes;
            (*number != active && is_mostly_dead).then_some(*number)
        });
        let Some(number) = mostly_dead else { return };
        match self.copy_live(number) {
            Ok(()) => self.remove_dead(),
            Err(error @ LogError::Damaged { .. }) => {
                error!(%error, "a segment is damaged and stays as it is");
                if let Some(slot) = self.index.lock().segments.get_mut(&number) {
                    slot.unreadable = true;
                }
            }
            Err(error) => warn!(%error, "a segment's room can't be given back now"),
        }
    }

    fn remove_dead(&mut self) {
        let active = self.active.header.number;
        let mut index = self.index.lock();
        let is_dead = |number: &u32, live_bytes: u64| *number != active && live_bytes == 0;
        let dead = index.segments.extract_if(.., |number, slot| is_dead(number, slot.live_bytes));
        let dead = dead.map(|(_, slot)| slot.segment).collect::<Vec<_>>();
        drop(index);
        for segment in dead {
            // Left behind, it does no harm: its records are known by their sequences to be replaced.
            if let Err(error) = fs::remove_file(&segment.path) {
                warn!(%error, file = %segment.path.display(), "can't remove a segment");
            }
        }
    }

    /// Writes a segment's live records again, on disk when this returns.
    fn copy_live(&mut self, number: u32) -> Result<(), LogError> {
        let (segment, bytes) = segment::read(&self.dir, number)?;
        let mut batch = Batch::new();
        segment.batches(&bytes, false, |at, groups| {
            // Locked for a batch at a time: readers need it too.
            let index = self.index.lock();
            for group in groups {
                let Some((stream, _)) = index.streams.get_key_value(group.stream) else { continue };
                let stream: Arc<str> = stream.clone();
                let is_live = |nth: usize| {
                    let location = segment::location(number, at, &group.records[nth]);
                    index.is_live(&stream, group.first + nth as u64, location)
                };
                // Snapshots take records from the front, so those that live are one run.
                let Some(start) = (0..group.records.len()).find(|nth| is_live(*nth)) else { continue };
                let run = (start..group.records.len()).take_while(|nth| is_live(*nth));
                let records = run.map(|nth| segment::record_bytes(&bytes, at, &group.records[nth]));
                batch.put(&stream, group.first + start as u64, &records.collect::<Vec<_>>());
            }
        })?;
        // With fsync even where appends go without: what is removed next may have been on disk for long.
        self.commit(&mut batch, true).map_err(LogError::Storage)
    }
}

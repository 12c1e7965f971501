//! Appends that are written together.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::format;
use crate::{LogError, Sequence};

/// An append on its way to the disk.
#[derive(Debug)]
pub(super) struct Append {
    pub(super) stream: Arc<str>,
    pub(super) expected: Option<Sequence>,
    pub(super) records: Vec<Bytes>,
    pub(super) reply: oneshot::Sender<Result<Sequence, LogError>>,
    /// The queue's room for these records, given back with the reply.
    pub(super) room: OwnedSemaphorePermit,
}

/// What one write and one fsync make durable.
///
/// Nothing in it is true until it is written, so all answers wait for that, refusals too: a conflict may be
/// with an append in the same batch.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) bytes: Vec<u8>,
    pub(super) records: Vec<Placed>,
    /// Where streams will end.
    lasts: HashMap<Arc<str>, Sequence>,
    replies: Vec<Reply>,
}

/// Where a record is, its header included, from the batch's start.
#[derive(Debug)]
pub(super) struct Placed {
    pub(super) stream: Arc<str>,
    pub(super) sequence: Sequence,
    pub(super) range: Range<usize>,
}

#[derive(Debug)]
struct Reply {
    to: oneshot::Sender<Result<Sequence, LogError>>,
    result: Result<Sequence, LogError>,
    _room: OwnedSemaphorePermit,
}

impl Batch {
    pub(super) fn new() -> Self {
        let mut bytes = Vec::new();
        format::begin_batch(&mut bytes);
        Self { bytes, records: Vec::new(), lasts: HashMap::new(), replies: Vec::new() }
    }

    /// Takes an append in, or decides that it is refused. `last` is where its stream ends on disk.
    pub(super) fn stage(&mut self, append: Append, last: Sequence) {
        let Append { stream, expected, records, reply, room } = append;
        let last = self.lasts.get(&stream).copied().unwrap_or(last);
        let result = match expected {
            Some(expected) if expected != last => Err(LogError::Conflict { expected, last }),
            _ => {
                let end = last + records.len() as u64;
                self.put(&stream, last + 1, &records);
                self.lasts.insert(stream, end);
                Ok(end)
            }
        };
        self.replies.push(Reply { to: reply, result, _room: room });
    }

    /// Encodes records that follow each other in their stream.
    pub(super) fn put(&mut self, stream: &Arc<str>, first: Sequence, records: &[impl AsRef<[u8]>]) {
        if records.is_empty() {
            return;
        }
        // The count fits: an append is bounded in bytes, and a record takes some.
        format::put_group(&mut self.bytes, stream, first, records.len() as u32);
        for (sequence, record) in (first..).zip(records) {
            let range = format::put_record(&mut self.bytes, sequence, record.as_ref());
            self.records.push(Placed { stream: stream.clone(), sequence, range });
        }
    }

    /// Tells everybody what became of theirs. An error speaks for the whole batch.
    pub(super) fn answer(self, written: Result<(), String>) {
        for reply in self.replies {
            let result = match &written {
                Ok(()) => reply.result,
                Err(why) => Err(LogError::Storage(why.clone())),
            };
            // Whoever no longer waits for it can read the stream.
            let _ = reply.to.send(result);
        }
    }
}

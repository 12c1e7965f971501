//! Durable ordered records.

mod file;

pub use file::{FileLog, FileLogOptions, RECORD_BYTES_MAX};

use async_trait::async_trait;
use bytes::Bytes;

/// The place of a record in its stream; the first is 1.
pub type Sequence = u64;

/// What an acknowledged append has survived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Durability {
    /// The process has it.
    Accepted,
    /// Other machines have it.
    Replicated,
    /// A disk has it, past its write cache.
    Durable,
}

/// A record that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its place.
    pub sequence: Sequence,
    /// What was appended.
    pub record: Bytes,
}

/// A state that stands for all records up to a sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The last record it holds.
    pub sequence: Sequence,
    /// The state, in the owner's own encoding.
    pub state: Bytes,
}

/// Streams of records, each ordered and durable.
#[async_trait]
pub trait Log: Send + Sync + 'static {
    /// Appends records, all or none, and returns the last one's sequence once they have the log's durability.
    ///
    /// With `expected` the append happens only if that is the stream's last sequence now (0: an empty stream);
    /// this is what fences an owner that was replaced.
    async fn append(
        &self,
        stream: &str,
        expected: Option<Sequence>,
        records: Vec<Bytes>,
    ) -> Result<Sequence, LogError>;

    /// Up to `records_max` records from a sequence on, in order; fewer where they are large, none only past the
    /// stream's end. Those that a snapshot replaced are gone: reading
    /// from before them is [`LogError::Compacted`].
    async fn read(&self, stream: &str, from: Sequence, records_max: usize) -> Result<Vec<Entry>, LogError>;

    /// The last sequence of a stream, 0 where there is none.
    async fn last(&self, stream: &str) -> Result<Sequence, LogError>;

    /// Keeps a snapshot and lets the log forget the records it stands for.
    async fn put_snapshot(&self, stream: &str, snapshot: Snapshot) -> Result<(), LogError>;

    /// The newest snapshot.
    async fn snapshot(&self, stream: &str) -> Result<Option<Snapshot>, LogError>;

    /// What an acknowledged append has survived, as configured.
    fn durability(&self) -> Durability;
}

/// Why the log refused.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Another writer was first.
    #[error("expected the stream to end at {expected}, but it ends at {last}")]
    Conflict {
        /// What the caller expected.
        expected: Sequence,
        /// What is.
        last: Sequence,
    },
    /// The records asked for were replaced by a snapshot.
    #[error("records before {first} were replaced by a snapshot")]
    Compacted {
        /// The first record there is.
        first: Sequence,
    },
    /// A record is not what was written.
    #[error("stream {stream} is damaged at byte {offset} of {file}: {what}")]
    Damaged {
        /// The stream, `*` where it may be any in the file.
        stream: String,
        /// The file.
        file: String,
        /// Where in it.
        offset: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// A record or a name is beyond what the log takes.
    #[error("the log can't take this: {0}")]
    Invalid(String),
    /// The storage failed; the append did not happen, or it is not known whether it did and the log is closed.
    #[error("the log's storage failed: {0}")]
    Storage(String),
}

//! Reading the queue back.

use courant_auth::Apps;
use courant_cluster::{Log, Sequence};

use crate::journal::STREAM;
use crate::ledger::Ledger;
use crate::record::{Record, Snapshot};
use crate::{Error, Settings};

/// How many records are read at once.
const PAGE: usize = 1000;

/// What a log held.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) ledger: Ledger,
    pub(crate) last: Sequence,
    /// Bytes of the snapshot.
    pub(crate) snapshot_bytes: usize,
    /// Bytes of the records since.
    pub(crate) record_bytes: usize,
}

/// Reads everything.
///
/// # Errors
/// The log can't be read, or holds something else than a queue.
pub(crate) async fn recover(log: &dyn Log, settings: &Settings, apps: &Apps) -> Result<Recovered, Error> {
    let mut recovered =
        Recovered { ledger: Ledger::new(settings), last: 0, snapshot_bytes: 0, record_bytes: 0 };
    if let Some(snapshot) = log.snapshot(STREAM).await? {
        recovered.last = snapshot.sequence;
        recovered.snapshot_bytes = snapshot.state.len();
        let state: Snapshot =
            serde_json::from_slice(&snapshot.state).map_err(|error| foreign(snapshot.sequence, &error))?;
        recovered.ledger.restore(state, apps);
    }
    loop {
        let page = log.read(STREAM, recovered.last + 1, PAGE).await?;
        if page.is_empty() {
            return Ok(recovered);
        }
        for entry in page {
            let record: Record =
                serde_json::from_slice(&entry.record).map_err(|error| foreign(entry.sequence, &error))?;
            recovered.ledger.apply(record, apps).map_err(|error| foreign(entry.sequence, &error))?;
            recovered.last = entry.sequence;
            recovered.record_bytes += entry.record.len();
        }
    }
}

fn foreign(sequence: Sequence, error: &serde_json::Error) -> Error {
    Error::Foreign { sequence, what: error.to_string() }
}

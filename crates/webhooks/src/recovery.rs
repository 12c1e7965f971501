//! Reading the queue back.

use courant_auth::Apps;
use courant_cluster::{Log, Sequence};

use crate::journal::STREAM;
use crate::ledger::Ledger;
use crate::record::{Record, Snapshot};
use crate::{Error, Settings};

/// How many records are read at once.
const PAGE: usize = 1000;

/// How much a log held.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Extent {
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
pub(crate) async fn recover(
    log: &dyn Log,
    settings: &Settings,
    apps: &Apps,
) -> Result<(Ledger, Extent), Error> {
    let mut ledger = Ledger::new(settings);
    let mut extent = Extent::default();
    if let Some(snapshot) = log.snapshot(STREAM).await? {
        extent.last = snapshot.sequence;
        extent.snapshot_bytes = snapshot.state.len();
        let state: Snapshot =
            serde_json::from_slice(&snapshot.state).map_err(|error| foreign(snapshot.sequence, &error))?;
        ledger.restore(state, apps);
    }
    loop {
        let page = log.read(STREAM, extent.last + 1, PAGE).await?;
        if page.is_empty() {
            return Ok((ledger, extent));
        }
        for entry in page {
            let record: Record =
                serde_json::from_slice(&entry.record).map_err(|error| foreign(entry.sequence, &error))?;
            ledger.apply(record, apps).map_err(|error| foreign(entry.sequence, &error))?;
            extent.last = entry.sequence;
            extent.record_bytes += entry.record.len();
        }
    }
}

fn foreign(sequence: Sequence, error: &serde_json::Error) -> Error {
    Error::Foreign { sequence, what: error.to_string() }
}

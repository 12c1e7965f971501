//! What is to be written, and what happens once it is.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Notify;

use crate::event::OrderKey;
use crate::record::{DeliveryId, EndpointNumber, Record};

/// Bytes of records that wait for a journal whose disk is stuck. Beyond it they are dropped: then a snapshot must
/// be written, which holds the same.
const RECORD_BYTES_MAX: usize = 32 << 20;

/// Counts the records of an outbox: who waits for a ticket waits for all records up to it.
pub(crate) type Ticket = u64;

/// Records in their order, until the journal takes them.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    pending: Pending,
    /// Wakes the journal: somebody waits.
    pub(crate) urgent: Arc<Notify>,
    /// Wakes the journal: there is something, but a moment later will do.
    pub(crate) lazy: Arc<Notify>,
}

/// What the journal writes at once.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    pub(crate) records: Vec<Bytes>,
    bytes: usize,
    /// Records before these were dropped.
    pub(crate) is_incomplete: bool,
    /// The last record's.
    pub(crate) ticket: Ticket,
    /// The deliveries that may start once the records are written.
    pub(crate) releases: Vec<Release>,
}

/// A delivery whose records come first.
#[derive(Debug)]
pub(crate) enum Release {
    /// An event of this many bytes.
    Event { endpoint: EndpointNumber, id: DeliveryId, bytes: usize, key: Option<OrderKey> },
    /// A request that is complete.
    Request { endpoint: EndpointNumber, id: DeliveryId },
}

// === impl Outbox ===

impl Outbox {
    /// Adds a record that somebody waits for, with what it releases.
    pub(crate) fn write(&mut self, record: &Record, releases: impl IntoIterator<Item = Release>) -> Ticket {
        self.push(record);
        self.pending.releases.extend(releases);
        self.urgent.notify_one();
        self.pending.ticket
    }

    /// Adds a record that can wait for others. Should it be lost, a delivery is repeated, which receivers must
    /// expect anyway.
    pub(crate) fn note(&mut self, record: &Record) {
        self.push(record);
        self.lazy.notify_one();
    }

    /// Takes everything.
    pub(crate) fn take(&mut self) -> Pending {
        let ticket = self.pending.ticket;
        std::mem::replace(&mut self.pending, Pending { ticket, ..Pending::default() })
    }

    fn push(&mut self, record: &Record) {
        let record = serde_json::to_vec(record).expect("texts, numbers and checked json can be encoded");
        let pending = &mut self.pending;
        pending.bytes += record.len();
        pending.records.push(record.into());
        pending.ticket += 1;
        if pending.bytes > RECORD_BYTES_MAX {
            pending.records.clear();
            pending.bytes = 0;
            pending.is_incomplete = true;
        }
    }
}

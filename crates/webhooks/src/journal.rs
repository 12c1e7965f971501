//! Writes the outbox to the log: one task, so that everything reported while it writes shares its next append.
//!
//! When the disk refuses, webhooks are still sent: an event that is delivered and may be lost in a crash is better
//! than one that is not delivered. What could not be written is kept and tried again; if it gets too much, it is
//! dropped in favour of a snapshot, which holds the same.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use courant_cluster::{Log, LogError, Sequence, Snapshot};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::dispatcher::Dispatcher;
use crate::outbox::{Pending, Release, Ticket};
use crate::record::Record;
use crate::recovery::Recovered;

/// The stream of the log.
pub(crate) const STREAM: &str = "webhooks";

/// How long a record waits that nobody waits for. After a crash, what was accepted in this time is sent again.
const LAZY_FLUSH: Duration = Duration::from_millis(20);
/// Records and bytes of one append.
const APPEND_RECORDS_MAX: usize = 1000;
const APPEND_BYTES_MAX: usize = 1 << 20;
/// A snapshot is worth it once the records since the last are so many bytes, and twice as many as its own.
const SNAPSHOT_WORTH_BYTES: usize = 4 << 20;
/// How long to wait after the log refused.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// What is kept to be written while the log refuses. A snapshot then takes its place.
const BACKLOG_BYTES_MAX: usize = 32 << 20;

/// The writer.
pub(crate) struct Journal {
    log: Arc<dyn Log>,
    dispatcher: Arc<Mutex<Dispatcher>>,
    /// The last ticket that is written, or never will be.
    written: watch::Sender<Ticket>,
    /// Whether the log refuses; read by [`Webhooks::stats`](crate::Webhooks::stats).
    is_failing: Arc<AtomicBool>,
    last: Sequence,
    backlog: VecDeque<Bytes>,
    backlog_bytes: usize,
    bytes_since_snapshot: usize,
    snapshot_bytes: usize,
    /// Records were dropped: only a snapshot makes the log complete again.
    is_snapshot_due: bool,
    retry_at: Option<Instant>,
    /// Another process owns the stream. Nothing is written or sent any more.
    is_fenced: bool,
}

// === impl Journal ===

impl Journal {
    /// A writer that goes on where the recovered log ends, and what tells how far it came.
    pub(crate) fn new(
        log: Arc<dyn Log>,
        dispatcher: Arc<Mutex<Dispatcher>>,
        is_failing: Arc<AtomicBool>,
        recovered: &Recovered,
    ) -> (Self, watch::Receiver<Ticket>) {
        let (written, progress) = watch::channel(0);
        let journal = Self {
            log,
            dispatcher,
            written,
            is_failing,
            last: recovered.last,
            backlog: VecDeque::new(),
            backlog_bytes: 0,
            bytes_since_snapshot: recovered.record_bytes,
            snapshot_bytes: recovered.snapshot_bytes,
            is_snapshot_due: false,
            retry_at: None,
            is_fenced: false,
        };
        (journal, progress)
    }

    /// Writes until stopped, and then what is left.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let (urgent, lazy) = self.dispatcher.lock().outbox_wakers();
        while !stop.is_cancelled() {
            tokio::select! {
                () = urgent.notified() => {}
                () = lazy.notified() => {
                    tokio::select! {
                        () = urgent.notified() => {}
                        () = tokio::time::sleep(LAZY_FLUSH) => {}
                        () = stop.cancelled() => {}
                    }
                }
                () = sleep_until(self.retry_at) => {}
                () = stop.cancelled() => {}
            }
            self.step().await;
        }
        self.retry_at = None;
        self.step().await;
        self.written.send_replace(Ticket::MAX);
    }

    async fn step(&mut self) {
        let is_worth = self.bytes_since_snapshot > SNAPSHOT_WORTH_BYTES.max(2 * self.snapshot_bytes);
        let may_try = self.retry_at.is_none_or(|at| at <= Instant::now());
        if may_try && (is_worth || self.is_snapshot_due) {
            return self.snapshot().await;
        }
        let Pending { records, ticket, releases } = self.dispatcher.lock().take_pending();
        self.keep(records);
        if may_try {
            self.write().await;
        }
        self.release(ticket, releases);
    }

    /// Writes a snapshot, with what is to be written before it.
    async fn snapshot(&mut self) {
        let (Pending { records, ticket, releases }, state) =
            self.dispatcher.lock().take_pending_and_snapshot();
        if self.is_snapshot_due {
            // The snapshot stands for the dropped records too. This one shows that the log takes records again.
            self.drop_backlog();
            self.keep(vec![created(state.log)]);
        } else {
            self.keep(records);
        }
        self.write().await;
        self.release(ticket, releases);
        if !self.backlog.is_empty() || self.is_fenced {
            // Should the snapshot have been due, it still is, and stands for the records that were just left out.
            return;
        }
        let encoded = tokio::task::spawn_blocking(move || serde_json::to_vec(&state)).await;
        let Ok(Ok(encoded)) = encoded else {
            tracing::error!("the webhook queue's snapshot can't be encoded");
            return;
        };
        let bytes = encoded.len();
        let snapshot = Snapshot { sequence: self.last, state: encoded.into() };
        match self.log.put_snapshot(STREAM, snapshot).await {
            Ok(()) => {
                self.snapshot_bytes = bytes;
                self.bytes_since_snapshot = 0;
                self.is_snapshot_due = false;
            }
            Err(error) => self.refused(&error),
        }
    }

    /// Appends the backlog, as far as the log takes it.
    async fn write(&mut self) {
        while !self.backlog.is_empty() && !self.is_fenced {
            let mut bytes = 0;
            let records: Vec<Bytes> = self
                .backlog
                .iter()
                .take(APPEND_RECORDS_MAX)
                .take_while(|record| {
                    bytes += record.len();
                    bytes <= APPEND_BYTES_MAX || bytes == record.len()
                })
                .cloned()
                .collect();
            let written = records.len();
            match self.log.append(STREAM, Some(self.last), records).await {
                Ok(last) => {
                    self.last = last;
                    self.written(written);
                }
                Err(error) => {
                    self.refused(&error);
                    return;
                }
            }
        }
    }

    fn written(&mut self, records: usize) {
        let bytes: usize = self.backlog.drain(..records).map(|record| record.len()).sum();
        self.backlog_bytes -= bytes;
        self.bytes_since_snapshot += bytes;
        self.retry_at = None;
        if self.is_failing.swap(false, Ordering::Relaxed) {
            tracing::info!("the webhook queue is on disk again");
        }
    }

    /// Lets what is written be sent, and what waits for it go on. While the log refuses, that is everything.
    fn release(&mut self, ticket: Ticket, releases: Vec<Release>) {
        if !self.is_fenced {
            self.dispatcher.lock().release(releases, Instant::now());
        }
        self.written.send_replace(ticket);
    }

    fn refused(&mut self, error: &LogError) {
        if matches!(error, LogError::Conflict { .. }) {
            tracing::error!(%error, "another process owns the webhook queue; this one sends no more webhooks");
            self.is_fenced = true;
            self.drop_backlog();
        } else if !self.is_failing.swap(true, Ordering::Relaxed) {
            tracing::error!(%error, "the webhook queue can't be written; webhooks would not survive a crash");
        }
        self.is_failing.store(true, Ordering::Relaxed);
        // A record that the log will never take would be refused for ever.
        self.is_snapshot_due |= matches!(error, LogError::Invalid(_));
        self.retry_at = Some(Instant::now() + RETRY_AFTER);
    }

    fn keep(&mut self, records: Vec<Bytes>) {
        if self.is_fenced {
            return;
        }
        self.backlog_bytes += records.iter().map(Bytes::len).sum::<usize>();
        self.backlog.extend(records);
        if self.backlog_bytes > BACKLOG_BYTES_MAX && self.is_failing.load(Ordering::Relaxed) {
            self.drop_backlog();
            self.is_snapshot_due = true;
        }
    }

    fn drop_backlog(&mut self) {
        self.backlog.clear();
        self.backlog_bytes = 0;
    }
}

fn created(log: u64) -> Bytes {
    serde_json::to_vec(&Record::Created { log }).expect("a number can be encoded").into()
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

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
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::dispatcher::Dispatcher;
use crate::outbox::{Pending, Release, Ticket};
use crate::record::{self, Record};
use crate::recovery::Extent;

/// The stream of the log.
pub(crate) const STREAM: &str = "webhooks";

/// How long a record waits that nobody waits for. After a crash, what was accepted in this time is sent again.
const LAZY_FLUSH: Duration = Duration::from_millis(20);
/// Records and bytes of one append.
const APPEND_RECORDS_MAX: usize = 1000;
const APPEND_BYTES_MAX: usize = 1 << 20;
/// A snapshot is worth it once the records since the last are so many bytes, and twice as many as its own.
const SNAPSHOT_WORTH_BYTES: usize = 4 << 20;
/// How long to wait after the log refused a record.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// How long to wait after the log refused a snapshot, which is dearer.
const SNAPSHOT_RETRY_AFTER: Duration = Duration::from_secs(10);
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
    retry_at: Option<Instant>,
    /// Another process owns the stream. Nothing is written or sent any more.
    is_fenced: bool,
    /// Records were dropped: only a snapshot makes the log complete again.
    is_incomplete: bool,
    /// The bytes of the last snapshot, and of the records since.
    snapshot_bytes: usize,
    record_bytes: usize,
    /// What the snapshot that is being written stands for: bytes of records, and whether any that were dropped.
    replaced_bytes: usize,
    mends: bool,
    snapshot_retry_at: Option<Instant>,
    /// The snapshot that is being written, at most one, while appends go on. It yields its bytes.
    snapshot: JoinSet<Result<usize, LogError>>,
}

// === impl Journal ===

impl Journal {
    /// A writer that goes on where the log ends, and what tells how far it came.
    pub(crate) fn new(
        log: Arc<dyn Log>,
        dispatcher: Arc<Mutex<Dispatcher>>,
        is_failing: Arc<AtomicBool>,
        extent: Extent,
    ) -> (Self, watch::Receiver<Ticket>) {
        let (written, progress) = watch::channel(0);
        let journal = Self {
            log,
            dispatcher,
            written,
            is_failing,
            last: extent.last,
            backlog: VecDeque::new(),
            backlog_bytes: 0,
            retry_at: None,
            is_fenced: false,
            is_incomplete: false,
            snapshot_bytes: extent.snapshot_bytes,
            record_bytes: extent.record_bytes,
            replaced_bytes: 0,
            mends: false,
            snapshot_retry_at: None,
            snapshot: JoinSet::new(),
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
                Some(ended) = self.snapshot.join_next() => self.snapshot_ended(ended),
                () = sleep_until(self.retry_at) => {}
                () = sleep_until(self.snapshot_retry_at) => {}
                () = stop.cancelled() => {}
            }
            self.step().await;
            // What was dropped just now is to be made up for at once.
            while self.takes_snapshot() {
                self.step().await;
            }
        }
        self.retry_at = None;
        self.snapshot_retry_at = None;
        self.step().await;
        while let Some(ended) = self.snapshot.join_next().await {
            self.snapshot_ended(ended);
        }
        if self.is_incomplete || !self.backlog.is_empty() {
            tracing::error!(
                records = self.backlog.len(),
                "the webhook queue could not be written to its end"
            );
        }
        self.written.send_replace(Ticket::MAX);
    }

    /// Writes what there is to write. Cancelled in between, the log may have more than is known here, as in a crash.
    async fn step(&mut self) {
        let now = Instant::now();
        self.retry_at = self.retry_at.filter(|&at| at > now);
        self.snapshot_retry_at = self.snapshot_retry_at.filter(|&at| at > now);
        let (pending, state) = if self.takes_snapshot() {
            let (pending, state) = self.dispatcher.lock().take_pending_and_snapshot();
            (pending, Some(state))
        } else {
            (self.dispatcher.lock().take_pending(), None)
        };
        let Pending { records, ticket, releases, is_incomplete, .. } = pending;
        self.is_incomplete |= is_incomplete;
        if let Some(state) = state.as_ref().filter(|_| self.is_incomplete) {
            // There may be no other record, and a snapshot stands for what follows the last one.
            self.keep(vec![created(state.log)]);
        }
        self.keep(records);
        if self.retry_at.is_none() {
            self.write().await;
        }
        self.release(ticket, releases);
        // The state is the one after the last record, so it is of no use if some could not be written.
        if let Some(state) = state.filter(|_| self.backlog.is_empty() && !self.is_fenced) {
            self.begin_snapshot(state);
        }
    }

    fn takes_snapshot(&self) -> bool {
        let is_worth = self.record_bytes > SNAPSHOT_WORTH_BYTES.max(2 * self.snapshot_bytes);
        let may_try = self.retry_at.is_none() && self.snapshot_retry_at.is_none();
        (is_worth || self.is_incomplete) && may_try && self.snapshot.is_empty() && !self.is_fenced
    }

    /// Writes a snapshot of the state at the last record, while appends go on.
    fn begin_snapshot(&mut self, state: record::Snapshot) {
        let (log, sequence) = (Arc::clone(&self.log), self.last);
        self.replaced_bytes = self.record_bytes;
        self.mends = std::mem::take(&mut self.is_incomplete);
        self.snapshot.spawn(async move {
            let encoded = tokio::task::spawn_blocking(move || serde_json::to_vec(&state)).await;
            let state: Bytes = match encoded {
                Ok(Ok(state)) => state.into(),
                Ok(Err(error)) => return Err(LogError::Invalid(error.to_string())),
                Err(error) => return Err(LogError::Storage(error.to_string())),
            };
            let bytes = state.len();
            log.put_snapshot(STREAM, Snapshot { sequence, state }).await.map(|()| bytes)
        });
    }

    fn snapshot_ended(&mut self, ended: Result<Result<usize, LogError>, JoinError>) {
        let error = match ended {
            Ok(Ok(bytes)) => {
                self.snapshot_bytes = bytes;
                self.record_bytes -= self.replaced_bytes;
                self.mends = false;
                return self.recovered();
            }
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        self.is_incomplete |= self.mends;
        self.snapshot_retry_at = Some(Instant::now() + SNAPSHOT_RETRY_AFTER);
        tracing::error!(error, "the webhook queue's snapshot can't be written; it will be tried again");
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
        self.record_bytes += bytes;
        self.retry_at = None;
        self.recovered();
    }

    /// Notes that the log takes everything again, if it does.
    fn recovered(&mut self) {
        let is_whole = !self.is_incomplete && !self.mends;
        if is_whole && self.is_failing.swap(false, Ordering::Relaxed) {
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
        if matches!(error, LogError::Invalid(_)) {
            // A record that the log will never take would be refused for ever.
            self.drop_backlog();
            self.is_incomplete = true;
        }
        self.retry_at = Some(Instant::now() + RETRY_AFTER);
    }

    fn keep(&mut self, records: Vec<Bytes>) {
        if self.is_fenced {
            return;
        }
        self.backlog_bytes += records.iter().map(Bytes::len).sum::<usize>();
        self.backlog.extend(records);
        if self.backlog_bytes > BACKLOG_BYTES_MAX && self.retry_at.is_some() {
            self.drop_backlog();
            self.is_incomplete = true;
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

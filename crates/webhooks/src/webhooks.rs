//! The service.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use courant_auth::{AppId, Apps, WebhookEvent};
use courant_cluster::Log;
use courant_telemetry::Metrics;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::courier::Courier;
use crate::dispatcher::{Dispatcher, Tick};
use crate::journal::Journal;
use crate::receipt::{Progress, Receipt};
use crate::recovery::recover;
use crate::registry::Registry;
use crate::sender::Senders;
use crate::{DeadLetter, Error, Event, Settings, Stats};

/// Outgoing webhooks.
///
/// Dropped without [`shutdown`](Self::shutdown), it stops at once, like a process that is killed: what was queued is
/// sent after the next start.
pub struct Webhooks {
    dispatcher: Arc<Mutex<Dispatcher>>,
    registry: Arc<Registry>,
    progress: Progress,
    is_journal_failing: Arc<AtomicBool>,
    tasks: Mutex<Tasks>,
}

/// The tasks, and what stops them.
#[derive(Default)]
struct Tasks {
    senders: JoinSet<()>,
    stop_senders: CancellationToken,
    /// Stops last, since the others leave it something to write.
    journal: JoinSet<()>,
    stop_journal: CancellationToken,
}

// === impl Webhooks ===

impl Webhooks {
    /// Reads back what the last process queued, and begins to send it.
    ///
    /// The log's stream `webhooks` belongs to this process alone. All connections of the last one are taken as gone:
    /// what its webhooks announced ends after the grace, unless it is reported anew.
    ///
    /// # Errors
    /// A setting makes no sense, the log can't be read, or TLS can't be set up.
    pub async fn open(
        settings: Settings,
        apps: Arc<Apps>,
        log: Arc<dyn Log>,
        metrics: Arc<Metrics>,
    ) -> Result<Arc<Self>, Error> {
        settings.check()?;
        let senders = Senders::new(&settings)?;
        let settings = Arc::new(settings);
        let (ledger, extent) = recover(log.as_ref(), &settings, &apps).await?;
        let dispatcher = Dispatcher::new(Arc::clone(&settings), &apps, ledger, metrics, Instant::now());
        let registry = dispatcher.registry();
        let timers = dispatcher.timers();
        let dispatcher = Arc::new(Mutex::new(dispatcher));
        let is_journal_failing = Arc::new(AtomicBool::new(false));
        let (journal, written) =
            Journal::new(log, Arc::clone(&dispatcher), Arc::clone(&is_journal_failing), extent);
        let mut tasks = Tasks::default();
        tasks.journal.spawn(journal.run(tasks.stop_journal.clone()));
        tasks.senders.spawn(keep_time(Arc::clone(&dispatcher), timers, tasks.stop_senders.clone()));
        for (app, endpoint) in registry.endpoints() {
            let courier = Courier {
                dispatcher: Arc::clone(&dispatcher),
                app: Arc::clone(app),
                endpoint: endpoint.clone(),
                sender: senders.sender(),
                quiet: Mutex::default(),
            };
            tasks.senders.spawn(courier.run(tasks.stop_senders.clone()));
        }
        let progress = Progress::new(written, settings.append_wait_max);
        let tasks = Mutex::new(tasks);
        Ok(Arc::new(Self { dispatcher, registry, progress, is_journal_failing, tasks }))
    }

    /// Whether events of this kind are to be reported. A hash and a look-up.
    ///
    /// For the pairs of occupied and vacated, added and removed, either being wanted makes both wanted, since one
    /// can't be told well without the other.
    pub fn wants(&self, app: &AppId, kind: WebhookEvent) -> bool {
        self.registry.wants(app, kind)
    }

    /// Takes a report, in the order of the calls.
    ///
    /// Transitions are reported as they happen, the first in and the last out; that a return cancels an end, and
    /// that begins and ends alternate, is seen to here. An event that the queue has no room for becomes a dead letter.
    pub fn submit(&self, app: &AppId, event: Event) -> Receipt {
        if !self.wants(app, event.kind()) {
            return Receipt::NONE;
        }
        let ticket = self.dispatcher.lock().report(app, event, Instant::now());
        ticket.map_or(Receipt::NONE, |ticket| self.progress.receipt(ticket))
    }

    /// [`Submits`](Self::submit) a report and waits until it is [`written`](Receipt::written). Cancelling the future
    /// does not take the report back.
    pub async fn notify(&self, app: &AppId, event: Event) {
        self.submit(app, event).written().await;
    }

    /// A cache channel has an event now: its next miss is worth telling again.
    pub fn cache_filled(&self, app: &AppId, channel: &Arc<str>) {
        if self.wants(app, WebhookEvent::CacheMiss) {
            self.dispatcher.lock().cache_filled(app, channel);
        }
    }

    /// What could not be delivered, the newest first, no more than `letters_max`.
    pub fn dead_letters(&self, letters_max: usize) -> Vec<DeadLetter> {
        self.dispatcher.lock().dead_letters(letters_max)
    }

    /// The figures of this moment.
    pub fn stats(&self) -> Stats {
        let is_journal_failing = self.is_journal_failing.load(Ordering::Relaxed);
        Stats { is_journal_failing, ..self.dispatcher.lock().stats() }
    }

    /// Stops: begins nothing new, waits for the attempts under way until the deadline, and writes what is left to
    /// write. What was not sent is sent after the next start; so is the end of what is in its grace, unless it
    /// returns. Call it once all connections are closed.
    pub async fn shutdown(&self, deadline: Instant) {
        let Tasks { mut senders, stop_senders, mut journal, stop_journal } =
            std::mem::take(&mut *self.tasks.lock());
        stop_senders.cancel();
        if timeout_at(deadline, join_all(&mut senders)).await.is_err() {
            // Their receivers may have got them, and will get them again.
            senders.shutdown().await;
        }
        stop_journal.cancel();
        let grace = Duration::from_secs(1);
        if timeout_at(deadline.max(Instant::now() + grace), join_all(&mut journal)).await.is_err() {
            tracing::warn!("the webhook queue could not be written in time; some webhooks may be sent twice");
        }
    }
}

async fn join_all(tasks: &mut JoinSet<()>) {
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended {
            tracing::error!(%error, "a task of the webhooks failed");
        }
    }
}

/// Tells what time decides.
async fn keep_time(dispatcher: Arc<Mutex<Dispatcher>>, timers: Arc<Notify>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let tick = dispatcher.lock().tick(Instant::now());
        match tick {
            Tick::Now => tokio::task::yield_now().await,
            Tick::At(at) => tokio::select! {
                () = tokio::time::sleep_until(at) => {}
                () = timers.notified() => {}
                () = stop.cancelled() => {}
            },
            Tick::Idle => tokio::select! {
                () = timers.notified() => {}
                () = stop.cancelled() => {}
            },
        }
    }
}

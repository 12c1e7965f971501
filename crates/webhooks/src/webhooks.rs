//! The service.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use courant_auth::{AppId, Apps, WebhookEvent};
use courant_cluster::Log;
use courant_telemetry::Metrics;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::courier::Courier;
use crate::dispatcher::{Dispatcher, Tick};
use crate::journal::Journal;
use crate::outbox::Ticket;
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
    append_wait_max: Duration,
    written: watch::Receiver<Ticket>,
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
        let mut recovered = recover(log.as_ref(), &settings, &apps).await?;
        let ledger = std::mem::replace(&mut recovered.ledger, crate::ledger::Ledger::new(&settings));
        let dispatcher = Dispatcher::new(Arc::clone(&settings), &apps, ledger, metrics, Instant::now());
        let registry = dispatcher.registry();
        let timers = dispatcher.timers();
        let dispatcher = Arc::new(Mutex::new(dispatcher));
        let is_journal_failing = Arc::new(AtomicBool::new(false));
        let (journal, written) =
            Journal::new(log, Arc::clone(&dispatcher), Arc::clone(&is_journal_failing), &recovered);
        let mut tasks = Tasks::default();
        tasks.journal.spawn(journal.run(tasks.stop_journal.clone()));
        tasks.senders.spawn(keep_time(Arc::clone(&dispatcher), timers, tasks.stop_senders.clone()));
        for (app, endpoint) in registry.endpoints() {
            let courier = Courier {
                dispatcher: Arc::clone(&dispatcher),
                app: Arc::clone(app),
                endpoint: endpoint.clone(),
                sender: senders.sender(),
            };
            tasks.senders.spawn(courier.run(tasks.stop_senders.clone()));
        }
        let append_wait_max = settings.append_wait_max;
        let tasks = Mutex::new(tasks);
        Ok(Arc::new(Self { dispatcher, registry, append_wait_max, written, is_journal_failing, tasks }))
    }

    /// Whether events of this kind are to be reported. A hash and a look-up.
    ///
    /// For the pairs of occupied and vacated, added and removed, either being wanted makes both wanted, since one
    /// can't be told well without the other.
    pub fn wants(&self, app: &AppId, kind: WebhookEvent) -> bool {
        self.registry.wants(app, kind)
    }

    /// Takes a report.
    ///
    /// Transitions are reported as they happen, the first in and the last out; that a return cancels an end, and
    /// that begins and ends alternate, is seen to here. Returns at once if there is nothing to tell (yet), and else
    /// when the event is on disk, or after [`append_wait_max`](Settings::append_wait_max): it will be there when the
    /// disk allows, or be sent all the same. An event that the queue has no room for becomes a dead letter.
    ///
    /// Cancelling the future does not take the report back.
    pub async fn notify(&self, app: &AppId, event: Event) {
        if !self.wants(app, event.kind()) {
            return;
        }
        let Some(ticket) = self.dispatcher.lock().report(app, event, Instant::now()) else { return };
        let mut written = self.written.clone();
        let is_written = written.wait_for(|&written| written >= ticket);
        // Too late, or shut down: either way there is nothing more to wait for.
        let _ = timeout(self.append_wait_max, is_written).await;
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

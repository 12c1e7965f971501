//! All state in one place: what is reported goes in, what is to be written and sent comes out. No I/O and no clock
//! but the wall's, which only dates events.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use courant_auth::{AppId, Apps};
use courant_telemetry::Metrics;
use courant_telemetry::metrics::labels::AttemptOutcome;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::backoff::Backoff;
use crate::clock::WallClock;
use crate::event::{Edge, Event, Span};
use crate::grace::Begun;
use crate::lane::{Lane, Next};
use crate::ledger::{Delivery, Ledger, Told};
use crate::outbox::{Outbox, Pending, Release, Ticket};
use crate::record::{DeliveryId, EndpointNumber, QueuedEvent, Record, Snapshot};
use crate::registry::{Endpoint, Hooks, Registry};
use crate::windows::{Counts, Misses};
use crate::{DeadLetter, DeadReason, Failure, Settings};

mod admission;
mod stats;
#[cfg(test)]
mod tests;

use admission::Admission;

/// How much one call of [`Dispatcher::tick`] does, so that the lock is never held for long.
const TICK_MAX: usize = 256;

/// The state behind [`Webhooks`](crate::Webhooks).
pub(crate) struct Dispatcher {
    settings: Arc<Settings>,
    registry: Arc<Registry>,
    metrics: Arc<Metrics>,
    ledger: Ledger,
    lanes: HashMap<EndpointNumber, Lane>,
    admission: Admission,
    misses: Misses,
    counts: Counts,
    outbox: Outbox,
    clock: WallClock,
    /// Wakes who calls [`Dispatcher::tick`]: it may be needed earlier than was said.
    timers: Arc<Notify>,
}

/// When [`Dispatcher::tick`] is to be called again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tick {
    /// At once: there is more.
    Now,
    /// Then.
    At(Instant),
    /// When the timers are woken.
    Idle,
}

/// What a courier is to do.
#[derive(Debug)]
pub(crate) enum Step {
    /// Try this.
    Attempt(Attempt),
    /// Wait until then, or until woken.
    WaitUntil(Instant),
    /// Wait until woken.
    Wait,
}

/// A request to make.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) id: DeliveryId,
    pub(crate) webhook_id: String,
    pub(crate) events: Vec<Arc<QueuedEvent>>,
}

// === impl Dispatcher ===

impl Dispatcher {
    /// Takes over what was read from the log: makes new endpoints known, gives up what belongs to none any more,
    /// starts the grace of everything announced, and makes all deliveries due.
    pub(crate) fn new(
        settings: Arc<Settings>,
        apps: &Apps,
        mut ledger: Ledger,
        metrics: Arc<Metrics>,
        now: Instant,
    ) -> Self {
        let mut outbox = Outbox::default();
        if ledger.log == 0 {
            // Not 0, which stands for none.
            ledger.log = rand::random::<u64>() | 1;
            outbox.note(&Record::Created { log: ledger.log });
        }
        let (registry, unknown) = Registry::new(apps, &ledger.endpoints);
        if !unknown.is_empty() {
            outbox.note(&Record::Endpoints { known: unknown.clone() });
            ledger.know(unknown);
        }
        let lanes = registry
            .endpoints()
            .map(|(_, endpoint)| (endpoint.number, Lane::new(endpoint.config.batching)))
            .collect();
        let mut dispatcher = Self {
            admission: Admission::new(&settings),
            misses: Misses::new(settings.cache_miss_window, settings.remembered_max),
            counts: Counts::new(settings.count_interval, settings.remembered_max),
            registry: Arc::new(registry),
            settings,
            metrics,
            ledger,
            lanes,
            outbox,
            clock: WallClock::default(),
            timers: Arc::new(Notify::new()),
        };
        dispatcher.resume(now);
        dispatcher
    }

    pub(crate) fn registry(&self) -> Arc<Registry> {
        Arc::clone(&self.registry)
    }

    pub(crate) fn outbox_wakers(&self) -> (Arc<Notify>, Arc<Notify>) {
        (Arc::clone(&self.outbox.urgent), Arc::clone(&self.outbox.lazy))
    }

    pub(crate) fn timers(&self) -> Arc<Notify> {
        Arc::clone(&self.timers)
    }

    pub(crate) fn lane_waker(&self, endpoint: EndpointNumber) -> Option<Arc<Notify>> {
        self.lanes.get(&endpoint).map(|lane| Arc::clone(&lane.wake))
    }

    /// Everything yet to be written.
    pub(crate) fn take_pending(&mut self) -> Pending {
        self.outbox.take()
    }

    /// Everything yet to be written, and the state once it is.
    pub(crate) fn take_pending_and_snapshot(&mut self) -> (Pending, Snapshot) {
        (self.outbox.take(), self.ledger.snapshot())
    }

    /// Lets deliveries start whose records are written.
    pub(crate) fn release(&mut self, releases: Vec<Release>, now: Instant) {
        for release in releases {
            match release {
                Release::Event { endpoint, id, bytes } => {
                    let Some(lane) = self.lanes.get_mut(&endpoint) else { continue };
                    if lane.batching { lane.gather(id, bytes, now) } else { lane.add(id, now) }
                }
                Release::Request { endpoint, id } => {
                    let Some(lane) = self.lanes.get_mut(&endpoint) else { continue };
                    lane.add(id, now);
                }
            }
        }
    }

    // What is reported.

    /// Takes a report. With a ticket, an event was queued and will be durable when the ticket is written.
    pub(crate) fn report(&mut self, app: &AppId, event: Event, now: Instant) -> Option<Ticket> {
        let registry = Arc::clone(&self.registry);
        let hooks = registry.get(app)?;
        if let Some((edge, span)) = event.edge(app) {
            if !hooks.cares(&span) {
                return None;
            }
            return match edge {
                Edge::Begin => self.begin(hooks, &span, &event, now),
                Edge::End => {
                    let deadline = self.ledger.spans.next_deadline();
                    self.ledger.spans.end(&span, now);
                    self.wake_timers_if_idle(deadline);
                    None
                }
            };
        }
        let place = || (app.clone(), Arc::clone(event.channel()));
        let is_due = match &event {
            Event::CacheMiss { .. } => self.misses.is_news(place(), now),
            Event::SubscriptionCount { subscription_count, .. } => {
                let throttled_above = self.settings.count_throttled_above;
                let deadline = self.counts.next_deadline();
                let is_due = self.counts.is_due(place(), *subscription_count, throttled_above, now);
                self.wake_timers_if_idle(deadline);
                is_due
            }
            _ => true,
        };
        if is_due { self.tell(hooks, &event, now) } else { None }
    }

    /// A cache channel has an event: its next miss is news.
    pub(crate) fn cache_filled(&mut self, app: &AppId, channel: &Arc<str>) {
        self.misses.filled(&(app.clone(), Arc::clone(channel)));
    }

    /// Tells what time has decided: the ends whose grace is over, the counts whose turn it is.
    pub(crate) fn tick(&mut self, now: Instant) -> Tick {
        let registry = Arc::clone(&self.registry);
        for _ in 0..TICK_MAX {
            if let Some((span, told)) = self.ledger.spans.pop_ended(now) {
                if let Some(hooks) = registry.get(&span.app) {
                    self.end(hooks, &span, &told, now);
                }
            } else if let Some(((app, channel), subscription_count)) = self.counts.pop_due(now) {
                if let Some(hooks) = registry.get(&app) {
                    self.tell(hooks, &Event::SubscriptionCount { channel, subscription_count }, now);
                }
            } else {
                let next =
                    self.ledger.spans.next_deadline().into_iter().chain(self.counts.next_deadline()).min();
                return next.map_or(Tick::Idle, Tick::At);
            }
        }
        Tick::Now
    }

    fn begin(&mut self, hooks: &Hooks, span: &Span, event: &Event, now: Instant) -> Option<Ticket> {
        let deadline = self.ledger.spans.next_deadline();
        let begun = self.ledger.spans.begin(span, now);
        self.wake_timers_if_idle(deadline);
        match begun {
            Begun::Settled => None,
            Begun::First => {
                let to = self.admitted(hooks, event, now, |_| Claim::Share);
                Some(self.queue(hooks, event, to))
            }
            Begun::Full => {
                for endpoint in hooks.endpoints.iter().filter(|endpoint| endpoint.wants(event)) {
                    self.refuse(hooks, endpoint, event, DeadReason::AnnouncedFull, now);
                }
                None
            }
        }
    }

    /// All graces and all intervals are equally long, so a new deadline is the next only where there was none.
    fn wake_timers_if_idle(&self, deadline_before: Option<Instant>) {
        if deadline_before.is_none() {
            self.timers.notify_one();
        }
    }

    /// The end of a span goes to the endpoints that were told of its begin, whatever the queue holds: there are
    /// at most as many such ends as begins were admitted. Endpoints that only ask for ends need room like others.
    fn end(&mut self, hooks: &Hooks, span: &Span, told: &Told, now: Instant) {
        let event = span.end();
        let to = self.admitted(hooks, &event, now, |endpoint| {
            if told.contains(&endpoint.number) {
                Claim::Owed
            } else if endpoint.config.wants(span.begin_kind(), &span.channel) {
                Claim::None
            } else {
                Claim::Share
            }
        });
        self.queue(hooks, &event, to);
    }

    /// Tells an event that begins and ends nothing.
    fn tell(&mut self, hooks: &Hooks, event: &Event, now: Instant) -> Option<Ticket> {
        let to = self.admitted(hooks, event, now, |_| Claim::Share);
        if to.is_empty() { None } else { Some(self.queue(hooks, event, to)) }
    }

    /// The endpoints that want an event, have a claim to it and have room for it.
    fn admitted(
        &mut self,
        hooks: &Hooks,
        event: &Event,
        now: Instant,
        claim: impl Fn(&Endpoint) -> Claim,
    ) -> Vec<EndpointNumber> {
        let mut to = Vec::with_capacity(hooks.endpoints.len());
        for endpoint in hooks.endpoints.iter().filter(|endpoint| endpoint.wants(event)) {
            let has_room = || {
                let lane = self.lanes.get(&endpoint.number);
                lane.is_some_and(|lane| self.admission.has_room(lane, self.lanes.len()))
            };
            match claim(endpoint) {
                Claim::Owed => to.push(endpoint.number),
                Claim::Share if has_room() => to.push(endpoint.number),
                Claim::Share => self.refuse(hooks, endpoint, event, DeadReason::QueueFull, now),
                Claim::None => {}
            }
        }
        to
    }

    fn queue(&mut self, hooks: &Hooks, event: &Event, to: Vec<EndpointNumber>) -> Ticket {
        let app = &hooks.app.id;
        let time_ms = self.clock.now_ms();
        let queued = QueuedEvent { time_ms, json: event.to_json() };
        let bytes = queued.bytes();
        let json = queued.json.clone();
        let told: Told = to.as_slice().into();
        let first = self.ledger.queue(Some(app), event, queued, &told);
        for endpoint in &to {
            self.count_in(*endpoint, 1, bytes);
        }
        let releases: Vec<Release> =
            (first..).zip(&to).map(|(id, &endpoint)| Release::Event { endpoint, id, bytes }).collect();
        let record = Record::Queued { first, time_ms, app: app.shared(), event: json, to };
        self.outbox.write(&record, releases)
    }

    fn refuse(
        &mut self,
        hooks: &Hooks,
        endpoint: &Endpoint,
        event: &Event,
        reason: DeadReason,
        now: Instant,
    ) {
        self.metrics.webhooks_dead.of(reason.label()).inc();
        if let Some(suppressed) = self.admission.refused(now) {
            let (app, url) = (&hooks.app.id, &endpoint.config.url);
            tracing::warn!(%app, %url, ?reason, suppressed, "a webhook is refused");
        }
        if !self.admission.may_keep_refused(now) {
            return;
        }
        let letter = DeadLetter {
            id: None,
            app: hooks.app.id.to_string(),
            url: endpoint.config.url.to_string(),
            events: vec![event.to_json()],
            reason,
            attempts: 0,
            last: None,
            at_ms: self.clock.now_ms(),
        };
        self.ledger.dead.push(letter.clone());
        self.outbox.note(&Record::Refused { letter });
    }

    // What is sent.

    /// What an endpoint's courier is to do now.
    pub(crate) fn next(&mut self, endpoint: EndpointNumber, now: Instant) -> Step {
        let Some(lane) = self.lanes.get_mut(&endpoint) else { return Step::Wait };
        loop {
            match lane.next(now, &self.settings) {
                Next::Attempt(id) => {
                    let Some(delivery) = self.ledger.get_mut(id) else {
                        lane.forgotten();
                        continue;
                    };
                    delivery.tried_since.get_or_insert(now);
                    let events = delivery.events.clone();
                    let webhook_id = self.ledger.webhook_id(id);
                    return Step::Attempt(Attempt { id, webhook_id, events });
                }
                Next::Batch(ids) => {
                    let Some(&id) = ids.first() else { continue };
                    self.ledger.batch(&ids);
                    self.outbox.write(&Record::Batched { ids }, [Release::Request { endpoint, id }]);
                }
                Next::WaitUntil(at) => return Step::WaitUntil(at),
                Next::Wait => return Step::Wait,
            }
        }
    }

    /// An attempt is over. `chance`, from 0 to 1, spreads retries.
    pub(crate) fn settle(
        &mut self,
        endpoint: EndpointNumber,
        id: DeliveryId,
        outcome: Result<(), Failure>,
        now: Instant,
        chance: f64,
    ) {
        let label = outcome.as_ref().err().map_or(AttemptOutcome::Accepted, Failure::label);
        self.metrics.webhooks_attempts.of(label).inc();
        let retry_at = match &outcome {
            Ok(()) => {
                self.delivered(id);
                None
            }
            Err(failure) => self.failed(id, failure, now, chance),
        };
        if let Some(lane) = self.lanes.get_mut(&endpoint) {
            lane.settled(id, outcome, retry_at);
        }
    }

    fn delivered(&mut self, id: DeliveryId) {
        let Some(delivery) = self.ledger.remove(id) else { return };
        self.outbox.note(&Record::Delivered { ids: vec![id] });
        self.count_out(&delivery);
        let now_ms = self.clock.now_ms();
        self.metrics.webhooks_delivered.inc_by(delivery.events.len() as u64);
        for event in &delivery.events {
            let millis = now_ms.saturating_sub(event.time_ms);
            self.metrics.webhooks_delivery_seconds.observe(Duration::from_millis(millis).as_secs_f64());
        }
    }

    /// Notes a failure and returns when to try again, if at all.
    fn failed(&mut self, id: DeliveryId, failure: &Failure, now: Instant, chance: f64) -> Option<Instant> {
        let delivery = self.ledger.get_mut(id)?;
        let attempts = delivery.attempts + 1;
        let since = delivery.tried_since.replace(now).unwrap_or(now);
        let spent = delivery.spent + now.duration_since(since);
        let Some(wait) = self.backoff().wait(attempts, spent, chance) else {
            self.give_up(id, failure.dead_reason(), attempts, Some(failure.clone()));
            return None;
        };
        self.ledger.fail(id, attempts, spent, failure.clone());
        self.outbox.note(&Record::Failed { id, attempts, spent, last: failure.clone() });
        Some(now + wait)
    }

    fn give_up(&mut self, id: DeliveryId, reason: DeadReason, attempts: u32, last: Option<Failure>) {
        let at_ms = self.clock.now_ms();
        self.outbox.note(&Record::Died { id, reason, attempts, last: last.clone(), at_ms });
        let Some(delivery) = self.ledger.die(id, reason, attempts, last, at_ms) else { return };
        self.count_out(&delivery);
        self.metrics.webhooks_dead.of(reason.label()).inc_by(delivery.events.len() as u64);
        let webhook_id = self.ledger.webhook_id(id);
        tracing::warn!(%webhook_id, endpoint = delivery.endpoint, ?reason, attempts, "a webhook is given up");
    }

    fn backoff(&self) -> Backoff {
        let Settings { retry_initial, retry_max, retry_for, .. } = *self.settings;
        Backoff { initial: retry_initial, max: retry_max, total: retry_for }
    }

    /// Goes on where the last process stopped. Only the wait before a next attempt is begun anew, since nobody knows
    /// how long there was no process.
    fn resume(&mut self, now: Instant) {
        self.ledger.spans.end_all(now);
        let backoff = self.backoff();
        let mut homeless = Vec::new();
        let mut waiting = Vec::new();
        for (id, delivery) in self.ledger.deliveries_mut() {
            let bytes: usize = delivery.events.iter().map(|event| event.bytes()).sum();
            waiting.push((delivery.endpoint, delivery.events.len(), bytes));
            let Some(lane) = self.lanes.get_mut(&delivery.endpoint) else {
                homeless.push((id, delivery.attempts, delivery.last.clone()));
                continue;
            };
            match backoff.wait(delivery.attempts, delivery.spent, 0.0) {
                Some(wait) if delivery.attempts > 0 => {
                    delivery.tried_since = Some(now);
                    lane.retry(id, now + wait);
                }
                // Not gathered anew: it may have been sent, and must go under its id with the same content.
                _ => lane.add(id, now),
            }
        }
        for (endpoint, events, bytes) in waiting {
            self.count_in(endpoint, events, bytes);
        }
        for (id, attempts, last) in homeless {
            self.give_up(id, DeadReason::Unconfigured, attempts, last);
        }
        self.forget_endpoints();
    }

    /// Endpoints that are gone, and that nothing refers to, need no name.
    fn forget_endpoints(&mut self) {
        let told: BTreeSet<_> =
            self.ledger.spans.announced().flat_map(|(_, told)| told.iter().copied()).collect();
        let lanes = &self.lanes;
        self.ledger.endpoints.retain(|number, _| lanes.contains_key(number) || told.contains(number));
    }

    fn count_in(&mut self, endpoint: EndpointNumber, events: usize, bytes: usize) {
        if let Some(lane) = self.lanes.get_mut(&endpoint) {
            lane.events += events;
            lane.bytes += bytes;
        }
        self.admission.count_in(events, bytes);
        self.metrics.webhooks_queued.set(self.admission.events() as i64);
    }

    fn count_out(&mut self, delivery: &Delivery) {
        let events = delivery.events.len();
        let bytes: usize = delivery.events.iter().map(|event| event.bytes()).sum();
        if let Some(lane) = self.lanes.get_mut(&delivery.endpoint) {
            lane.events -= events;
            lane.bytes -= bytes;
        }
        self.admission.count_out(events, bytes);
        self.metrics.webhooks_queued.set(self.admission.events() as i64);
    }
}

/// What right an endpoint has to an event.
enum Claim {
    /// It must be told, whatever else waits.
    Owed,
    /// It is told if there is room in its share.
    Share,
    /// It is not told.
    None,
}

//! What goes in: reports of what happened, and what time decides.

use std::sync::Arc;

use courant_auth::AppId;
use tokio::time::Instant;

use super::{Dispatcher, Tick};
use crate::event::{Edge, Event, Span};
use crate::grace::Begun;
use crate::ledger::Told;
use crate::outbox::{Release, Ticket};
use crate::record::{EndpointNumber, QueuedEvent, Record};
use crate::registry::{Endpoint, Hooks};
use crate::{DeadLetter, DeadReason};

/// How much one call of [`Dispatcher::tick`] does, so that the lock is never held for long.
const TICK_MAX: usize = 256;

/// What right an endpoint has to an event.
enum Claim {
    /// It must be told, whatever else waits.
    Owed,
    /// It is told if there is room in its share.
    Share,
    /// It is not told.
    None,
}

impl Dispatcher {
    /// Takes a report. With a ticket, an event was queued and will be durable when the ticket is written.
    pub(crate) fn report(&mut self, app: &AppId, event: Event, now: Instant) -> Option<Ticket> {
        let registry = Arc::clone(&self.registry);
        let hooks = registry.get(app)?;
        if let Some((edge, span)) = event.edge(app) {
            if !hooks.cares(&span) {
                return None;
            }
            let ticket = match edge {
                Edge::Begin => self.begin(hooks, &span, &event, now),
                Edge::End => {
                    let deadline = self.ledger.spans.next_deadline();
                    self.ledger.spans.end(&span, now);
                    self.wake_timers_if_idle(deadline);
                    None
                }
            };
            self.gauge_announced();
            return ticket;
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
        let tick = self.tell_due(now);
        self.gauge_announced();
        tick
    }

    fn tell_due(&mut self, now: Instant) -> Tick {
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
        let first = self.ledger.queue(Some(app), event, queued, &to);
        for endpoint in &to {
            self.count_in(*endpoint, 1, bytes);
        }
        let key = event.order_key();
        let releases: Vec<Release> =
            (first..).zip(&to).map(|(id, &endpoint)| Release::Event { endpoint, id, bytes, key }).collect();
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
}

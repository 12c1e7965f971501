//! What survives a restart: the queue, the dead letters, and what receivers believe to be going on.
//!
//! Every change has one method here. Live, it is called and its record written; after a restart, the records are
//! read and the same methods called. So what was read can't differ from what was.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use courant_auth::{AppId, Apps};
use tokio::time::Instant;

use crate::event::{Edge, Event, Span};
use crate::grace::Grace;
use crate::record::{
    AnnouncedSpan, DeliveryId, EndpointNumber, KnownEndpoint, QueuedDelivery, QueuedEvent, Record, Snapshot,
};
use crate::{DeadLetter, DeadLetters, DeadReason, Failure, Settings};

#[cfg(test)]
mod tests;

/// The endpoints that were told of a begin, and so must be told of the end.
pub(crate) type Told = Arc<[EndpointNumber]>;

/// The durable state.
#[derive(Debug)]
pub(crate) struct Ledger {
    /// The log's own name; 0 until it has one.
    pub(crate) log: u64,
    pub(crate) endpoints: BTreeMap<EndpointNumber, KnownEndpoint>,
    pub(crate) spans: Grace<Span, Told>,
    pub(crate) dead: DeadLetters,
    deliveries: BTreeMap<DeliveryId, Delivery>,
    next_id: DeliveryId,
    /// The last one used: most spans are told to the same endpoints, and share it.
    told: Told,
}

/// A request that is owed to an endpoint.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub(crate) endpoint: EndpointNumber,
    pub(crate) events: Vec<Arc<QueuedEvent>>,
    pub(crate) attempts: u32,
    /// From the first attempt to the last failure, as long as a process ran: the wall clock has no say in it.
    pub(crate) spent: Duration,
    pub(crate) last: Option<Failure>,
    /// When this process first tried it. Not durable.
    pub(crate) tried_since: Option<Instant>,
}

// === impl Ledger ===

impl Ledger {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            log: 0,
            endpoints: BTreeMap::new(),
            spans: Grace::new(settings.grace, settings.announced_max),
            dead: DeadLetters::new(settings.dead_letters_max, settings.dead_letters_bytes_max),
            deliveries: BTreeMap::new(),
            next_id: 1,
            told: Arc::default(),
        }
    }

    // Reading.

    /// Takes a snapshot's state over. What belongs to applications that are gone is left out.
    pub(crate) fn restore(&mut self, snapshot: Snapshot, apps: &Apps) {
        self.log = snapshot.log;
        self.next_id = snapshot.next_id;
        self.endpoints = snapshot.endpoints.into_iter().map(|known| (known.number, known)).collect();
        for AnnouncedSpan { app, channel, user_id, told } in snapshot.announced {
            if let Some(app) = apps.by_id(&app) {
                let told = self.share(&told);
                self.spans.announce(Span { app: app.id.clone(), channel, user_id }, told);
            }
        }
        for QueuedDelivery { id, endpoint, events, attempts, spent, last } in snapshot.deliveries {
            let delivery = Delivery { endpoint, events, attempts, spent, last, tried_since: None };
            self.deliveries.insert(id, delivery);
        }
        snapshot.dead.into_iter().for_each(|letter| self.dead.push(letter));
    }

    /// Applies a record that was read.
    ///
    /// # Errors
    /// It holds an event that is none.
    pub(crate) fn apply(&mut self, record: Record, apps: &Apps) -> Result<(), serde_json::Error> {
        match record {
            Record::Created { log } => self.log = log,
            Record::Endpoints { known } => self.know(known),
            Record::Queued { first, time_ms, app, event: json, to } => {
                let event: Event = serde_json::from_str(json.get())?;
                self.next_id = self.next_id.max(first);
                let app = apps.by_id(&app).map(|app| &app.id);
                self.queue(app, &event, QueuedEvent { time_ms, json }, &to);
            }
            Record::Batched { ids } => self.batch(&ids),
            Record::Delivered { ids } => ids.into_iter().for_each(|id| drop(self.remove(id))),
            Record::Failed { id, attempts, spent, last } => self.fail(id, attempts, spent, last),
            Record::Died { id, reason, attempts, last, at_ms } => {
                self.die(id, reason, attempts, last, at_ms);
            }
            Record::Refused { letter } => self.dead.push(letter),
        }
        Ok(())
    }

    /// The state as a snapshot. Cheap but for the number of things: texts are shared, not copied.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let announced = self.spans.announced().map(|(span, told)| AnnouncedSpan {
            app: span.app.shared(),
            channel: Arc::clone(&span.channel),
            user_id: span.user_id.clone(),
            told: Arc::clone(told),
        });
        let deliveries = self.deliveries.iter().map(|(&id, delivery)| QueuedDelivery {
            id,
            endpoint: delivery.endpoint,
            events: delivery.events.clone(),
            attempts: delivery.attempts,
            spent: delivery.spent,
            last: delivery.last.clone(),
        });
        Snapshot {
            log: self.log,
            next_id: self.next_id,
            endpoints: self.endpoints.values().cloned().collect(),
            announced: announced.collect(),
            deliveries: deliveries.collect(),
            dead: self.dead.iter().cloned().collect(),
        }
    }

    /// A delivery, to note when it was tried.
    pub(crate) fn get_mut(&mut self, id: DeliveryId) -> Option<&mut Delivery> {
        self.deliveries.get_mut(&id)
    }

    /// All deliveries, the oldest first.
    #[cfg(test)]
    pub(crate) fn deliveries(&self) -> impl Iterator<Item = (DeliveryId, &Delivery)> {
        self.deliveries.iter().map(|(&id, delivery)| (id, delivery))
    }

    /// All deliveries, the oldest first, to note when they were tried.
    pub(crate) fn deliveries_mut(&mut self) -> impl Iterator<Item = (DeliveryId, &mut Delivery)> {
        self.deliveries.iter_mut().map(|(&id, delivery)| (id, delivery))
    }

    /// What `X-Courant-Webhook-Id` says of a delivery. Standard Webhooks forbids dots in it; there are none.
    pub(crate) fn webhook_id(&self, id: DeliveryId) -> String {
        format!("{:016x}-{id:x}", self.log)
    }

    // Changing.

    /// Adds endpoints.
    pub(crate) fn know(&mut self, known: Vec<KnownEndpoint>) {
        self.endpoints.extend(known.into_iter().map(|known| (known.number, known)));
    }

    /// Adds an event's deliveries and returns the first one's id. `app` is `None` if it is gone from the
    /// configuration: nothing of it can begin or end any more.
    pub(crate) fn queue(
        &mut self,
        app: Option<&AppId>,
        event: &Event,
        queued: QueuedEvent,
        to: &[EndpointNumber],
    ) -> DeliveryId {
        match app.and_then(|app| event.edge(app)) {
            Some((Edge::Begin, span)) => {
                let told = self.share(to);
                self.spans.announce(span, told);
            }
            Some((Edge::End, span)) => self.spans.forget(&span),
            None => {}
        }
        let first = self.next_id;
        let queued = Arc::new(queued);
        for (id, &endpoint) in (first..).zip(to.iter()) {
            let delivery = Delivery {
                endpoint,
                events: vec![Arc::clone(&queued)],
                attempts: 0,
                spent: Duration::ZERO,
                last: None,
                tried_since: None,
            };
            self.deliveries.insert(id, delivery);
        }
        self.next_id += to.len() as DeliveryId;
        first
    }

    /// Makes deliveries to one endpoint one request.
    pub(crate) fn batch(&mut self, ids: &[DeliveryId]) {
        let Some((first, others)) = ids.split_first() else { return };
        let events: Vec<_> = others
            .iter()
            .filter_map(|id| self.deliveries.remove(id))
            .flat_map(|other| other.events)
            .collect();
        if let Some(delivery) = self.deliveries.get_mut(first) {
            delivery.events.extend(events);
        }
    }

    /// Takes a delivery out: it was accepted.
    pub(crate) fn remove(&mut self, id: DeliveryId) -> Option<Delivery> {
        self.deliveries.remove(&id)
    }

    /// Notes a failure that is not the last.
    pub(crate) fn fail(&mut self, id: DeliveryId, attempts: u32, spent: Duration, last: Failure) {
        if let Some(delivery) = self.deliveries.get_mut(&id) {
            delivery.attempts = attempts;
            delivery.spent = spent;
            delivery.last = Some(last);
        }
    }

    /// Makes a delivery a dead letter.
    pub(crate) fn die(
        &mut self,
        id: DeliveryId,
        reason: DeadReason,
        attempts: u32,
        last: Option<Failure>,
        at_ms: u64,
    ) -> Option<Delivery> {
        let delivery = self.deliveries.remove(&id)?;
        let known = self.endpoints.get(&delivery.endpoint);
        self.dead.push(DeadLetter {
            id: Some(self.webhook_id(id)),
            app: known.map(|known| known.app.clone()).unwrap_or_default(),
            url: known.map(|known| known.url.clone()).unwrap_or_default(),
            events: delivery.events.iter().map(|event| event.json.clone()).collect(),
            reason,
            attempts,
            last,
            at_ms,
        });
        Some(delivery)
    }

    fn share(&mut self, told: &[EndpointNumber]) -> Told {
        if *self.told != *told {
            self.told = told.into();
        }
        Arc::clone(&self.told)
    }
}

//! What goes out: attempts, and what becomes of them.

use std::collections::BTreeSet;
use std::time::Duration;

use courant_telemetry::metrics::labels::AttemptOutcome;
use tokio::time::Instant;

use super::{Attempt, Dispatcher, Step};
use crate::backoff::Backoff;
use crate::lane::Next;
use crate::outbox::Release;
use crate::record::{DeliveryId, EndpointNumber, Record};
use crate::{DeadReason, Failure, Settings};

impl Dispatcher {
    /// What an endpoint's courier is to do now.
    pub(crate) fn next(&mut self, endpoint: EndpointNumber, now: Instant) -> Step {
        let Some(lane) = self.lanes.get_mut(&endpoint) else { return Step::Wait };
        loop {
            match lane.next(now, &self.settings) {
                Next::Attempt { id, waited_since } => {
                    let Some(delivery) = self.ledger.get_mut(id) else {
                        lane.done(id);
                        continue;
                    };
                    delivery.tried_since.get_or_insert(waited_since.unwrap_or(now));
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
    pub(super) fn resume(&mut self, now: Instant) {
        self.ledger.spans.end_all(now);
        let backoff = self.backoff();
        let mut homeless = Vec::new();
        let mut waiting = Vec::new();
        for (id, delivery) in self.ledger.deliveries_mut() {
            let bytes: usize = delivery.events.iter().map(|event| event.bytes()).sum();
            waiting.push((delivery.endpoint, delivery.events.len(), bytes));
            // Only a single event has an order to keep.
            let key = match delivery.events.as_slice() {
                [event] => event.parse().and_then(|event| event.order_key()),
                _ => None,
            };
            let Some(lane) = self.lanes.get_mut(&delivery.endpoint) else {
                homeless.push((id, delivery.attempts, delivery.last.clone()));
                continue;
            };
            match backoff.wait(delivery.attempts, delivery.spent, 0.0) {
                Some(wait) if delivery.attempts > 0 => {
                    delivery.tried_since = Some(now);
                    lane.retry(id, key, now + wait);
                }
                // Not gathered anew: it may have been sent, and must go under its id with the same content.
                _ => lane.add(id, key, now),
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
}

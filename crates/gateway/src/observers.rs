//! From what the lower layers report to metrics and spans.

use std::sync::Arc;

use courant_channels::publish::now_us;
use courant_cluster::{Message, Topic};
use courant_telemetry::Metrics;
use courant_telemetry::metrics::labels::Limit;
use courant_telemetry::trace::fanout_span;
use courant_telemetry::traceparent::TraceParent;
use courant_wire::Violation;

/// Counts what sockets do.
pub struct SocketObserver(pub Arc<Metrics>);

impl courant_wire::Observer for SocketObserver {
    fn bytes_read(&self, bytes: usize) {
        self.0.received_bytes.inc_by(bytes as u64);
    }

    fn bytes_written(&self, bytes: usize) {
        self.0.writes.inc();
        self.0.sent_bytes.inc_by(bytes as u64);
    }

    fn frames_written(&self, frames: usize) {
        self.0.frames_written.inc_by(frames as u64);
    }

    fn queued(&self, delta: i64) {
        self.0.queue_bytes.add(delta);
    }

    fn overflow(&self) {
        self.0.slow_consumers.inc();
        self.0.limit_hits.of(Limit::QueueBytes).inc();
    }

    fn violated(&self, violation: Violation) {
        match violation {
            Violation::MessageTooBig => self.0.limit_hits.of(Limit::MessageBytes).inc(),
            Violation::TooManyFragments => self.0.limit_hits.of(Limit::MessageFragments).inc(),
            // Breaches of RFC 6455 are no limits; the close codes count them.
            _ => {}
        }
    }
}

/// Counts what the hub does, and makes a span for each fan-out that is traced.
pub struct HubObserver(pub Arc<Metrics>);

impl courant_hub::Observer for HubObserver {
    fn fanout_starts(
        &self,
        _topic: &Topic,
        messages: &[Message],
        subscribers: usize,
    ) -> Option<Box<dyn Send>> {
        for _ in messages {
            self.0.fanout_subscribers.observe(subscribers as f64);
        }
        let traced = messages.iter().filter_map(|message| message.trace.as_deref());
        let spans: Vec<_> = traced
            .map(|trace| {
                let span = fanout_span(TraceParent::parse(trace));
                span.record("courant.subscribers", subscribers);
                span
            })
            .collect();
        if spans.is_empty() { None } else { Some(Box::new(spans)) }
    }

    fn delivered(&self, messages: &[Message], deliveries: usize) {
        self.0.deliveries.inc_by(deliveries as u64);
        let now = now_us();
        // Nearly every subscriber gets every message, so each message has an even share.
        let share = (deliveries / messages.len().max(1)) as u64;
        for message in messages {
            // The wall clock may have been set back in between.
            let elapsed_us = now.saturating_sub(message.accepted_at_us);
            self.0.delivery_latency.observe_many(elapsed_us as f64 / 1e6, share);
        }
    }

    fn waiting(&self, delta: i64) {
        self.0.fanout_queue_messages.add(delta);
    }

    fn topics(&self, delta: i64) {
        self.0.channels.add(delta);
    }

    fn subscriptions(&self, delta: i64) {
        self.0.subscriptions.add(delta);
    }
}

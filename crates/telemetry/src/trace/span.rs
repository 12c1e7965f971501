//! The spans that there are.
//!
//! Attributes hold sizes and where an event came from, never a channel's name, a user or the data: channel names
//! often hold user ids, and collectors keep traces for long.

use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState};
use tracing::field::Empty;
use tracing::{Span, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::metrics::labels::{Label as _, PublishSource};
use crate::traceparent::TraceParent;

/// The target of these spans, by which they are told from all others.
pub(crate) const SPAN_TARGET: &str = "courant_span";

/// A span for accepting one event, to be dropped (or its future finished) once the bus has taken it.
///
/// `parent` is the request's `traceparent`, which also decides whether the event is traced; without one the
/// configured ratio decides. `channels` and `bytes` are those of the event. The span is disabled unless traces are
/// exported.
pub fn publish_span(
    parent: Option<TraceParent>,
    app: &str,
    source: PublishSource,
    channels: usize,
    bytes: usize,
) -> Span {
    let span = info_span!(
        target: SPAN_TARGET,
        parent: None,
        "publish",
        otel.kind = "producer",
        courant.app = app,
        courant.source = source.as_str(),
        courant.channels = channels,
        courant.bytes = bytes,
    );
    adopt(&span, parent);
    span
}

/// A span for delivering one event to the subscribers of one topic on this gateway, from the moment that it is
/// taken from the queue until the last subscriber has it.
///
/// `parent` is what [`traceparent_of`] gave for the publish, wherever that was; without one, or where it is not
/// sampled, there is no span. Record `courant.subscribers` and `courant.slow` on it when they are known.
pub fn fanout_span(parent: Option<TraceParent>) -> Span {
    let Some(parent) = parent.filter(|parent| parent.is_sampled()) else { return Span::none() };
    let span = info_span!(
        target: SPAN_TARGET,
        parent: None,
        "fan-out",
        otel.kind = "consumer",
        courant.subscribers = Empty,
        courant.slow = Empty,
    );
    adopt(&span, Some(parent));
    span
}

/// Where a span is, for those that continue its trace elsewhere; `None` for a span that is not recorded.
pub fn traceparent_of(span: &Span) -> Option<TraceParent> {
    if span.is_disabled() {
        return None;
    }
    let context = span.context();
    let span = context.span();
    let here = span.span_context();
    if !here.is_sampled() {
        return None;
    }
    let trace_id = u128::from_be_bytes(here.trace_id().to_bytes());
    let span_id = u64::from_be_bytes(here.span_id().to_bytes());
    TraceParent::new(trace_id, span_id, true)
}

/// Makes a new span the child of a remote one.
fn adopt(span: &Span, parent: Option<TraceParent>) {
    let Some(parent) = parent else { return };
    if span.is_disabled() {
        return;
    }
    let remote = SpanContext::new(
        TraceId::from_bytes(parent.trace_id().to_be_bytes()),
        SpanId::from_bytes(parent.span_id().to_be_bytes()),
        if parent.is_sampled() { TraceFlags::SAMPLED } else { TraceFlags::NOT_SAMPLED },
        true,
        TraceState::NONE,
    );
    // It fails for a span that has begun, and this one was made just now.
    let _ = span.set_parent(opentelemetry::Context::new().with_remote_span_context(remote));
}

mod collector;

use std::time::Instant;

use collector::{Collector, attribute, hex};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use tracing::Span;

use super::*;
use crate::init::tests::{Lines, logged};
use crate::metrics::labels::PublishSource;
use crate::{Format, LogSettings, Telemetry, TraceParent};

const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn caller(sampled: bool) -> Option<TraceParent> {
    let parent = TraceParent::parse(CALLER.as_bytes()).unwrap();
    TraceParent::new(parent.trace_id(), parent.span_id(), sampled)
}

fn publish(parent: Option<TraceParent>) -> Span {
    publish_span(parent, "1001", PublishSource::Http, 3, 512)
}

/// Runs `work` with traces going to `endpoint`, and gives the handle that flushes them.
fn traced(endpoint: &str, sample_ratio: f64, work: impl FnOnce()) -> Telemetry {
    let traces =
        TraceSettings { otlp_endpoint: Some(endpoint.to_owned()), sample_ratio, ..Default::default() };
    let (subscriber, telemetry) =
        Telemetry::build(&LogSettings::default(), &traces, Lines::default()).unwrap();
    tracing::subscriber::with_default(subscriber, work);
    telemetry
}

#[tokio::test]
async fn a_publish_and_its_fan_outs_are_one_trace_below_the_caller() {
    let mut collector = Collector::start().await;
    let telemetry = traced(&collector.endpoint, 0.0, || {
        let span = publish(caller(true));
        let handed_over = traceparent_of(&span).unwrap();
        assert_eq!(handed_over.trace_id(), caller(true).unwrap().trace_id());
        span.in_scope(|| {});
        drop(span);
        // Elsewhere and later, with nothing but the header.
        let header = handed_over.to_bytes();
        for _gateway in 0..2 {
            let span = fanout_span(TraceParent::parse(&header));
            span.record("courant.subscribers", 700);
        }
    });
    telemetry.shutdown(Duration::from_secs(30)).await;

    let request = collector.request().await;
    let resource = request.resource_spans[0].resource.as_ref().unwrap();
    assert_eq!(attribute(&resource.attributes, "service.name"), "courant");
    let mut spans = request.resource_spans[0].scope_spans[0].spans.clone();
    spans.sort_by_key(|span| span.name != "publish");
    let [publish, first, second] = &spans[..] else { panic!("{} spans", spans.len()) };
    assert!(spans.iter().all(|span| hex(&span.trace_id) == "0af7651916cd43dd8448eb211c80319c"));
    assert_eq!(hex(&publish.parent_span_id), "b7ad6b7169203331");
    assert_eq!(publish.kind(), SpanKind::Producer);
    assert_eq!(attribute(&publish.attributes, "courant.app"), "1001");
    assert_eq!(attribute(&publish.attributes, "courant.source"), "http");
    assert_eq!(attribute(&publish.attributes, "courant.bytes"), "512");
    for fanout in [first, second] {
        assert_eq!(fanout.name, "fan-out");
        assert_eq!(fanout.parent_span_id, publish.span_id);
        assert_eq!(fanout.kind(), SpanKind::Consumer);
        assert_eq!(attribute(&fanout.attributes, "courant.subscribers"), "700");
    }
    assert_ne!(first.span_id, second.span_id);
}

#[tokio::test]
async fn without_a_caller_the_ratio_decides() {
    let mut collector = Collector::start().await;
    let telemetry = traced(&collector.endpoint, 1.0, || drop(publish(None)));
    telemetry.shutdown(Duration::from_secs(30)).await;
    let request = collector.request().await;
    let span = &request.resource_spans[0].scope_spans[0].spans[0];
    assert!(span.parent_span_id.is_empty());

    let telemetry = traced(&collector.endpoint, 0.0, || {
        let span = publish(None);
        assert_eq!(traceparent_of(&span), None);
    });
    telemetry.shutdown(Duration::from_secs(30)).await;
    assert!(collector.nothing_more());
}

#[tokio::test]
async fn a_caller_that_does_not_sample_is_not_traced() {
    let mut collector = Collector::start().await;
    let telemetry = traced(&collector.endpoint, 1.0, || {
        let span = publish(caller(false));
        assert_eq!(traceparent_of(&span), None);
        assert!(fanout_span(caller(false)).is_disabled());
        assert!(fanout_span(None).is_disabled());
    });
    telemetry.shutdown(Duration::from_secs(30)).await;
    assert!(collector.nothing_more());
}

#[tokio::test]
async fn spans_of_other_code_are_not_exported() {
    let mut collector = Collector::start().await;
    let telemetry = traced(&collector.endpoint, 1.0, || drop(tracing::info_span!("something")));
    telemetry.shutdown(Duration::from_secs(30)).await;
    assert!(collector.nothing_more());
}

#[test]
fn without_a_collector_spans_are_disabled_whatever_the_log_filter() {
    logged("trace,courant_span=trace", Format::Pretty, || {
        let span = publish(caller(true));
        assert!(span.is_disabled());
        assert_eq!(traceparent_of(&span), None);
        assert!(fanout_span(caller(true)).is_disabled());
    });
}

#[tokio::test]
async fn a_collector_that_is_away_holds_up_neither_spans_nor_the_exit() {
    let endpoint = collector::refusing().await;
    // Thirty times what the queue holds: were there any waiting, this would never end.
    let telemetry = traced(&endpoint, 1.0, || (0..QUEUE_SPANS_MAX * 30).for_each(|_| drop(publish(None))));
    let begun = Instant::now();
    telemetry.shutdown(Duration::from_millis(200)).await;
    assert!(begun.elapsed() < EXPORT_TIMEOUT, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_collector_that_never_answers_holds_up_the_exit_for_no_longer_than_the_deadline() {
    let (_silent, endpoint) = collector::silent().await;
    let telemetry = traced(&endpoint, 1.0, || drop(publish(None)));
    let begun = Instant::now();
    telemetry.shutdown(Duration::from_millis(200)).await;
    assert!(begun.elapsed() < EXPORT_TIMEOUT, "{:?}", begun.elapsed());

    let telemetry = traced(&endpoint, 1.0, || drop(publish(None)));
    let begun = Instant::now();
    drop(telemetry);
    assert!(begun.elapsed() < EXPORT_TIMEOUT, "{:?}", begun.elapsed());
}

#[test]
fn traces_go_to_the_path_of_otlp() {
    for (endpoint, url) in [
        ("http://collector:4318", "http://collector:4318/v1/traces"),
        ("http://collector:4318/", "http://collector:4318/v1/traces"),
        ("https://collector/otlp", "https://collector/otlp/v1/traces"),
        ("http://[::1]:4318/v1/traces", "http://[::1]:4318/v1/traces"),
    ] {
        assert_eq!(traces_url(endpoint).unwrap().to_string(), url);
    }
}

#[test]
fn an_address_that_can_t_be_used_is_refused_with_the_reason() {
    for endpoint in
        ["", "collector:4318", "grpc://collector:4317", "/v1/traces", "http://", "http://c?x=1", "http://a b"]
    {
        let settings = TraceSettings { otlp_endpoint: Some(endpoint.to_owned()), ..Default::default() };
        let error = settings.check().unwrap_err().to_string();
        assert!(error.contains(&format!("{endpoint:?}")), "{error}");
    }
}

#[test]
fn a_password_in_the_address_is_refused_and_not_repeated() {
    let endpoint = Some("https://me:secret@collector:4318".to_owned());
    let error =
        TraceSettings { otlp_endpoint: endpoint, ..Default::default() }.check().unwrap_err().to_string();
    assert!(error.contains("collector") && !error.contains("secret"), "{error}");
}

#[test]
fn a_ratio_outside_of_0_to_1_is_refused() {
    for sample_ratio in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
        let settings = TraceSettings { sample_ratio, ..Default::default() };
        assert!(settings.check().is_err(), "{sample_ratio}");
    }
}

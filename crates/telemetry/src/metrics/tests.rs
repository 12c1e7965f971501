use super::labels::{CloseCode, Endpoint, Label, RejectReason, Status, Transport};
use super::process::Times;
use super::*;

/// What a line of the exposition says of a series.
fn value(text: &str, series: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

#[test]
fn every_row_of_the_catalogue_follows_the_naming_conventions() {
    for metric in CATALOGUE {
        let name = metric.name;
        assert!(name.starts_with("courant_") || name.starts_with("process_"), "{name}");
        assert_eq!(name.ends_with("_total"), metric.kind == Kind::Counter, "{name}: _total is for counters");
        let stem = name.trim_end_matches("_total");
        assert_eq!(stem.ends_with("_bytes"), metric.unit == Unit::Bytes, "{name}: bytes are named");
        assert_eq!(stem.ends_with("_seconds"), metric.unit == Unit::Seconds, "{name}: seconds are named");
        assert_eq!(
            metric.buckets.is_some(),
            metric.kind == Kind::Histogram,
            "{name}: histograms have buckets"
        );
        assert!(metric.help.ends_with('.') && !metric.help.contains('|'), "{name}: help is a sentence");
        if let Some(buckets) = metric.buckets {
            assert!(buckets.bounds.is_sorted_by(|a, b| a < b), "{name}: bounds ascend");
        }
    }
}

#[test]
fn a_fresh_exposition_has_a_series_for_each_closed_label_value() {
    let text = Metrics::new().render();
    for reason in RejectReason::VALUES {
        let series = format!("courant_connections_rejected_total{{reason=\"{reason}\"}}");
        assert_eq!(value(&text, &series), Some(0.0), "{series}");
    }
    assert!(text.contains("# TYPE courant_delivery_latency_seconds histogram"));
    assert!(text.contains("courant_build_info{revision="));
}

#[test]
fn fields_write_into_the_series_that_their_row_names() {
    let metrics = Metrics::new();
    metrics.connections.of("1001", Transport::WebSocket).set(3);
    metrics.connections_closed.of(CloseCode::from(4201)).inc();
    metrics.connections_closed.of(CloseCode::from(4999)).inc_by(2);
    metrics.connections_closed.of(CloseCode::NONE).inc_by(5);
    metrics.http_requests.of(Endpoint::Events, Status::from(418)).inc();
    metrics.http_request_seconds.of(Endpoint::Events).observe(0.002);
    metrics.fanout_subscribers.observe(700.0);

    let text = metrics.render();
    for (series, expected) in [
        ("courant_connections{app=\"1001\",transport=\"websocket\"}", 3.0),
        ("courant_connections_closed_total{code=\"4201\"}", 1.0),
        ("courant_connections_closed_total{code=\"other\"}", 2.0),
        ("courant_connections_closed_total{code=\"none\"}", 5.0),
        ("courant_http_requests_total{endpoint=\"events\",status=\"other\"}", 1.0),
        ("courant_http_request_seconds_bucket{endpoint=\"events\",le=\"0.001\"}", 0.0),
        ("courant_http_request_seconds_bucket{endpoint=\"events\",le=\"0.0025\"}", 1.0),
        ("courant_fanout_subscribers_bucket{le=\"1000\"}", 1.0),
    ] {
        assert_eq!(value(&text, series), Some(expected), "{series}");
    }
}

#[test]
fn pairs_that_were_never_used_are_not_exposed() {
    assert!(!Metrics::new().render().contains("courant_http_requests_total{"));
}

#[test]
fn every_code_has_an_index_of_its_own_value() {
    for code in 0..=u16::MAX {
        let text = CloseCode::from(code).as_str();
        assert!(text == code.to_string() || text == "other", "{code} is {text}");
    }
    assert_eq!(CloseCode::NONE.as_str(), "none");
    assert_eq!(Status::from(503).as_str(), "503");
}

#[test]
fn apps_beyond_the_bound_share_one_series() {
    let metrics = Metrics::new();
    for app in 0..ConnectionsByApp::APPS_MAX + 5 {
        metrics.connections.of(&format!("app-{app}"), Transport::XhrPolling).inc();
    }
    // An app that had a series keeps it.
    metrics.connections.of("app-0", Transport::XhrPolling).inc();

    let text = metrics.render();
    let series = text.lines().filter(|line| line.starts_with("courant_connections{")).count();
    assert_eq!(series, ConnectionsByApp::APPS_MAX + 1);
    assert_eq!(value(&text, "courant_connections{app=\"other\",transport=\"xhr_polling\"}"), Some(5.0));
    assert_eq!(value(&text, "courant_connections{app=\"app-0\",transport=\"xhr_polling\"}"), Some(2.0));
}

#[test]
fn label_values_with_quotes_and_newlines_are_escaped() {
    let metrics = Metrics::new();
    metrics.connections.of("a\"b\\c\nd", Transport::WebSocket).set(1);
    let text = metrics.render();
    assert_eq!(value(&text, r#"courant_connections{app="a\"b\\c\nd",transport="websocket"}"#), Some(1.0));
}

#[test]
fn a_scrape_tells_of_this_process() {
    let text = Metrics::new().render();
    assert!(value(&text, "process_resident_memory_bytes").is_some_and(|bytes| bytes > 100_000.0));
    assert!(value(&text, "process_open_fds").is_some_and(|fds| fds >= 3.0));
    assert!(value(&text, "process_threads").is_some_and(|threads| threads >= 1.0));
    assert!(value(&text, "process_start_time_seconds").is_some_and(|seconds| seconds > 1_600_000_000.0));
}

#[test]
fn a_program_name_with_parentheses_does_not_shift_the_fields() {
    let stat = "7 (a) b) (c) S 1 7 7 0 -1 4194560 100 0 0 0 250 150 0 0 20 0 4 0 12345 1000 20 1";
    assert_eq!(Times::parse(stat), Some(Times { cpu_seconds: 4.0, started_after_boot_seconds: 123 }));
    assert_eq!(Times::parse(""), None);
    assert_eq!(Times::parse("7 (a) S 1"), None);
}

#[test]
fn the_page_of_metrics_is_up_to_date() {
    let page = include_str!("../../../../docs/metrics.md");
    assert!(
        page == reference_markdown(),
        "docs/metrics.md differs from the catalogue; regenerate it: courant docs metrics > docs/metrics.md"
    );
}

use std::io::Write;
use std::sync::Arc;

use parking_lot::Mutex;
use tracing::{debug, info};

use super::*;
use crate::{Format, TraceSettings};

/// A writer that keeps what is logged.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock()).into_owned()
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Lines {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

/// What is logged by `work` under these settings, without traces.
pub(crate) fn logged(filter: &str, format: Format, work: impl FnOnce()) -> String {
    let lines = Lines::default();
    let log = LogSettings { filter: filter.to_owned(), format };
    let (subscriber, _telemetry) = Telemetry::build(&log, &TraceSettings::default(), lines.clone()).unwrap();
    tracing::subscriber::with_default(subscriber, work);
    lines.text()
}

#[test]
fn json_lines_have_their_fields_at_the_top() {
    let text = logged("info", Format::Json, || info!(remaining = 7, "drain is late"));
    let line: serde_json::Value = serde_json::from_str(text.trim()).unwrap();
    assert_eq!(line["message"], "drain is late");
    assert_eq!(line["remaining"], 7);
    assert_eq!(line["level"], "INFO");
    assert!(line["timestamp"].is_string());
}

#[test]
fn pretty_lines_are_one_line_each() {
    let text = logged("info", Format::Pretty, || info!(remaining = 7, "drain is late"));
    assert_eq!(text.lines().count(), 1);
    assert!(text.contains("drain is late remaining=7"), "{text}");
}

#[test]
fn the_filter_decides_by_level_and_module() {
    let work = || {
        debug!("from here");
        debug!(target: "other", "from there");
    };
    assert_eq!(logged("info", Format::Pretty, work), "");
    assert_eq!(logged("debug", Format::Pretty, work).lines().count(), 2);
    let some = logged("warn,courant_telemetry=debug", Format::Pretty, work);
    assert!(some.contains("from here") && !some.contains("from there"), "{some}");
}

#[test]
fn a_filter_that_can_t_be_read_is_named() {
    let log = LogSettings { filter: "info,courant=loud".to_owned(), ..LogSettings::default() };
    let error = log.check().unwrap_err().to_string();
    assert!(error.contains("courant=loud") && error.contains("debug"), "{error}");
    assert!(LogSettings::default().check().is_ok());
}

#[test]
fn a_format_is_read_by_its_name() {
    for (name, format) in [("pretty", Format::Pretty), ("json", Format::Json), ("auto", Format::Auto)] {
        assert_eq!(name.parse::<Format>().unwrap(), format);
    }
    assert!("xml".parse::<Format>().unwrap_err().to_string().contains("\"xml\""));
}

#[test]
fn the_log_is_set_up_once() {
    let first = Telemetry::init(&LogSettings::default(), &TraceSettings::default());
    assert!(first.is_ok());
    let second = Telemetry::init(&LogSettings::default(), &TraceSettings::default());
    assert!(matches!(second, Err(TelemetryError::AlreadyInitialised)));
}

//! Starting and stopping logs and traces.

use std::io::stderr;
use std::time::Duration;

use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{Subscriber, warn};
use tracing_subscriber::Registry;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::{LogSettings, TraceSettings, trace};

#[cfg(test)]
pub(crate) mod tests;

/// How long a dropped [`Telemetry`] waits for the collector: enough for one that answers, not enough to hold up an
/// exit.
const DROP_DEADLINE: Duration = Duration::from_secs(1);

/// Logs and traces of this process, for as long as it is held.
#[derive(Debug)]
#[must_use = "traces are flushed when this is dropped"]
pub struct Telemetry {
    provider: Option<SdkTracerProvider>,
}

/// Why logs or traces could not be started. All but the last two are mistakes in the settings.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The log filter can't be read.
    #[error(
        "log filter {filter:?} can't be read: {reason}; use a level (error, warn, info, debug, trace) or module=level, separated by commas"
    )]
    Filter {
        /// The filter as configured.
        filter: String,
        /// What is wrong with it.
        reason: String,
    },
    /// No such log format.
    #[error("log format {format:?} is not known; use pretty, json or auto")]
    Format {
        /// The format as configured.
        format: String,
    },
    /// The collector's address can't be used.
    #[error("traces can't be sent to {endpoint:?}: {reason}; use an address like http://collector:4318")]
    Endpoint {
        /// The address as configured.
        endpoint: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The collector's address holds a user or a password. The address is not repeated, for logs are read by many.
    #[error(
        "the address of the collector {host:?} must hold no user or password; put them into OTEL_EXPORTER_OTLP_HEADERS"
    )]
    EndpointCredentials {
        /// The host without them.
        host: String,
    },
    /// The ratio is not between 0 and 1.
    #[error("the ratio of traced publishes must be between 0 and 1, not {ratio}")]
    SampleRatio {
        /// The ratio as configured.
        ratio: f64,
    },
    /// The system refused what the exporting thread needs.
    #[error("the exporter of traces can't be started: {0}")]
    Runtime(#[source] std::io::Error),
    /// Somebody else has taken the process's log.
    #[error("logs are already set up in this process")]
    AlreadyInitialised,
}

// === impl Telemetry ===

impl Telemetry {
    /// Sets up the process's log and, where a collector is configured, traces. Once per process.
    ///
    /// # Errors
    ///
    /// Settings that can't be used; nothing is started then. A collector that can't be reached is no error: it may
    /// come later, and the server matters more.
    pub fn init(log: &LogSettings, traces: &TraceSettings) -> Result<Self, TelemetryError> {
        let (subscriber, telemetry) = Self::build(log, traces, stderr)?;
        subscriber.try_init().map_err(|_| TelemetryError::AlreadyInitialised)?;
        Ok(telemetry)
    }

    /// The parts of [`init`](Self::init), for tests that must not take the process's log.
    pub(crate) fn build<W>(
        log: &LogSettings,
        traces: &TraceSettings,
        writer: W,
    ) -> Result<(impl Subscriber + Send + Sync + use<W>, Self), TelemetryError>
    where
        W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
    {
        let lines = log.layer(writer)?;
        let provider = traces.start()?;
        let mut layers: Vec<Box<dyn Layer<Registry> + Send + Sync>> = vec![lines];
        layers.extend(provider.as_ref().map(|provider| trace::layer(provider).boxed()));
        Ok((tracing_subscriber::registry().with(layers), Self { provider }))
    }

    /// Sends the spans that are still queued and ends the export, within `deadline`. What was not sent by then is
    /// dropped. Logs go on.
    pub async fn shutdown(mut self, deadline: Duration) {
        let Some(provider) = self.provider.take() else { return };
        let flushed = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(deadline)).await;
        if !matches!(flushed, Ok(Ok(()))) {
            warn!(?deadline, "the last traces were not exported in time");
        }
    }
}

impl Drop for Telemetry {
    /// Flushes like [`shutdown`](Self::shutdown), blocking for at most a second.
    fn drop(&mut self) {
        if let Some(provider) = self.provider.take() {
            let _ = provider.shutdown_with_timeout(DROP_DEADLINE);
        }
    }
}

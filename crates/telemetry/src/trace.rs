//! Traces: a span per publish and one per fan-out, sent to a collector over OTLP.
//!
//! Nothing of this exists until a collector is configured: no thread, no queue, and [`publish_span`] is a check of
//! a flag. With one, spans wait in a bounded queue for a thread of their own; when the collector does not keep up or
//! is away they are dropped, and the server neither waits nor notices. The log tells when that begins and when it
//! ends.

mod client;
mod span;

#[cfg(test)]
mod tests;

use std::time::Duration;

use http::Uri;
use opentelemetry::KeyValue;
use opentelemetry_otlp::{ExporterBuildError, Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider};
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::Layer;
use tracing_subscriber::registry::LookupSpan;

pub(crate) use span::SPAN_TARGET;
pub use span::{fanout_span, publish_span, traceparent_of};

use crate::TelemetryError;
use client::ExportClient;

/// Where traces are taken (OTLP over HTTP, section "OTLP/HTTP Request").
const TRACES_PATH: &str = "/v1/traces";

/// Spans that wait for the exporting thread; what comes above is dropped. Some 2 MB at most.
const QUEUE_SPANS_MAX: usize = 4096;

/// Spans of one request: some 150 kB, well below what collectors take.
const BATCH_SPANS_MAX: usize = 512;

/// How long a span waits at most for others to share a request with.
const BATCH_DELAY: Duration = Duration::from_secs(5);

/// How long a batch is tried for, retries included. Meanwhile the queue fills; at 400 sampled publishes a second it
/// lasts for this time.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(10);

/// What is traced, and where traces go.
#[derive(Clone, Debug, PartialEq)]
pub struct TraceSettings {
    /// The collector's address for OTLP over HTTP, for example `http://collector:4318`; `/v1/traces` is added
    /// where it does not end with it. Without one nothing is traced.
    pub otlp_endpoint: Option<String>,
    /// The share of publishes that are traced when nobody upstream has decided, from 0 to 1. A request with a
    /// `traceparent` is traced if and only if that says so.
    pub sample_ratio: f64,
    /// The name under which traces of this process are found.
    pub service_name: String,
}

// === impl TraceSettings ===

impl Default for TraceSettings {
    fn default() -> Self {
        Self { otlp_endpoint: None, sample_ratio: 0.001, service_name: "courant".to_owned() }
    }
}

impl TraceSettings {
    /// Checks the settings without starting anything.
    ///
    /// # Errors
    ///
    /// [`TelemetryError::Endpoint`] or [`TelemetryError::SampleRatio`], with the value.
    pub fn check(&self) -> Result<(), TelemetryError> {
        if !(0.0..=1.0).contains(&self.sample_ratio) {
            return Err(TelemetryError::SampleRatio { ratio: self.sample_ratio });
        }
        self.otlp_endpoint.as_deref().map_or(Ok(()), |endpoint| traces_url(endpoint).map(drop))
    }

    /// Starts the exporting thread, or does nothing where no collector is configured.
    pub(crate) fn start(&self) -> Result<Option<SdkTracerProvider>, TelemetryError> {
        self.check()?;
        let Some(endpoint) = &self.otlp_endpoint else { return Ok(None) };
        let url = traces_url(endpoint)?;
        let refused = |error: ExporterBuildError| TelemetryError::Endpoint {
            endpoint: endpoint.clone(),
            reason: error.to_string(),
        };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_http_client(ExportClient::new(EXPORT_TIMEOUT).map_err(TelemetryError::Runtime)?)
            .with_endpoint(url.to_string())
            .with_timeout(EXPORT_TIMEOUT)
            .build()
            .map_err(refused)?;
        let batch = BatchConfigBuilder::default()
            .with_max_queue_size(QUEUE_SPANS_MAX)
            .with_max_export_batch_size(BATCH_SPANS_MAX)
            .with_scheduled_delay(BATCH_DELAY)
            .build();
        let resource = Resource::builder()
            .with_service_name(self.service_name.clone())
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let provider = SdkTracerProvider::builder()
            .with_span_processor(BatchSpanProcessor::builder(exporter).with_batch_config(batch).build())
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(self.sample_ratio))))
            .with_resource(resource)
            .build();
        Ok(Some(provider))
    }
}

/// The layer that turns this module's spans, and no others, into spans of the provider.
pub(crate) fn layer<S>(provider: &SdkTracerProvider) -> impl Layer<S> + Send + Sync + use<S>
where
    S: Subscriber + for<'s> LookupSpan<'s> + Send + Sync,
{
    use opentelemetry::trace::TracerProvider as _;

    tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("courant"))
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_level(false)
        .with_target(false)
        .with_filter(
            filter_fn(|metadata| metadata.target() == SPAN_TARGET).with_max_level_hint(LevelFilter::INFO),
        )
}

/// The URL to post to, from the address that somebody configured.
fn traces_url(endpoint: &str) -> Result<Uri, TelemetryError> {
    let refused =
        |reason: &str| TelemetryError::Endpoint { endpoint: endpoint.to_owned(), reason: reason.to_owned() };
    let base = endpoint.trim_end_matches('/');
    let url = if base.ends_with(TRACES_PATH) { base.to_owned() } else { format!("{base}{TRACES_PATH}") };
    let url: Uri = url.parse().map_err(|_| refused("it is no URL"))?;
    if !matches!(url.scheme_str(), Some("http" | "https")) {
        return Err(refused("it must begin with http:// or https://"));
    }
    match url.authority() {
        None => Err(refused("it names no host")),
        // It would end up in logs, and hyper sends nothing of it.
        Some(authority) if authority.as_str().contains('@') => {
            Err(TelemetryError::EndpointCredentials { host: authority.host().to_owned() })
        }
        Some(_) if url.query().is_some() => Err(refused("it must have no query")),
        Some(_) => Ok(url),
    }
}

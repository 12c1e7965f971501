//! What operators see of Courant: the catalogue of metrics, tracing and logs.
//!
//! - [`metrics`]: every metric in one table, as typed fields of [`Metrics`].
//! - [`recent`]: who was here a moment ago, in bounded memory, to count reconnections.
//! - [`log`] and [`trace`]: log lines and OTLP traces, set up together by [`Telemetry::init`].
//! - [`traceparent`]: the W3C header by which a trace goes on across processes.
//!
//! Nothing here knows a protocol: the label sets in [`metrics::labels`] are plain names.

mod init;
pub mod log;
pub mod metrics;
pub mod recent;
pub mod trace;
pub mod traceparent;

pub use init::{Telemetry, TelemetryError};
pub use log::{Format, LogSettings};
pub use metrics::{CATALOGUE, MetricInfo, Metrics, reference_markdown};
pub use recent::RecentClients;
pub use trace::{TraceSettings, fanout_span, publish_span, traceparent_of};
pub use traceparent::TraceParent;

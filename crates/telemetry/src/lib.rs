//! What operators see of Courant: the catalogue of metrics, tracing and logs.
//!
//! - [`metrics`]: every metric in one table, as typed fields of [`Metrics`].
//! - [`recent`]: who was here a moment ago, in bounded memory, to count reconnections.
//!
//! Nothing here knows a protocol: the label sets in [`metrics::labels`] are plain names.

pub mod metrics;
pub mod recent;

pub use metrics::{CATALOGUE, MetricInfo, Metrics, reference_markdown};
pub use recent::RecentClients;

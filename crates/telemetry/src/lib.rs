//! The catalogue of metrics, tracing and logs.

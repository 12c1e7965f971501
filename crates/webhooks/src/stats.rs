//! What is going on, for a debug page.

use serde::Serialize;

use crate::Failure;

/// The figures of one moment.
#[derive(Clone, Debug, Serialize)]
pub struct Stats {
    /// Events that wait, once for each endpoint.
    pub queued: usize,
    /// Bytes of these.
    pub queued_bytes: usize,
    /// Channels and members whose end may have to be told: what `announced_max` bounds.
    pub announced: usize,
    /// Those of which may have ended: they are in their grace.
    pub in_grace: usize,
    /// Given-up deliveries that are kept.
    pub dead_letters: usize,
    /// The disk refuses: events are delivered, but would not survive the process.
    pub is_journal_failing: bool,
    /// By application and URL.
    pub endpoints: Vec<EndpointStats>,
}

/// The figures of an endpoint, since the process started.
#[derive(Clone, Debug, Serialize)]
pub struct EndpointStats {
    /// The application's id.
    pub app: String,
    /// Where it is.
    pub url: String,
    /// Events that wait for it.
    pub queued: usize,
    /// Bytes of these.
    pub queued_bytes: usize,
    /// Attempts that wait for its answer.
    pub in_flight: usize,
    /// Requests it accepted.
    pub delivered: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Attempts that failed since one was accepted.
    pub failures_in_a_row: u64,
    /// How the last failed attempt did.
    pub last_failure: Option<Failure>,
}

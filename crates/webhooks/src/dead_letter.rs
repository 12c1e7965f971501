//! What could not be delivered.

use std::collections::VecDeque;

use courant_telemetry::metrics::labels;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

#[cfg(test)]
mod tests;

/// A request that was given up, or an event that was refused.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeadLetter {
    /// What `X-Courant-Webhook-Id` was; `None` for an event that was refused before it was queued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The application's id.
    pub app: String,
    /// Where it should have gone.
    pub url: String,
    /// The events, as receivers would have got them.
    pub events: Vec<Box<RawValue>>,
    /// Why it is here.
    pub reason: DeadReason,
    /// How often it was tried.
    pub attempts: u32,
    /// How the last attempt failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Failure>,
    /// When it was given up, in milliseconds since 1970.
    pub at_ms: u64,
}

/// Why a delivery was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeadReason {
    /// It was tried for as long as deliveries are.
    Expired,
    /// The same, and the last attempt led to an address that is not allowed.
    Forbidden,
    /// The queue, or the endpoint's share of it, was full.
    QueueFull,
    /// So many channels and members were announced already that its application may have no more.
    AnnouncedFull,
    /// Its endpoint is no longer configured.
    Unconfigured,
}

/// How an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// The receiver answered, but not with a 2xx.
    Status(u16),
    /// It did not answer in time.
    Timeout,
    /// It could not be reached, or broke off.
    Connect(String),
    /// Its address is not allowed.
    Forbidden(String),
}

/// The dead letters, the newest only, within bounds of number and bytes.
#[derive(Debug)]
pub(crate) struct DeadLetters {
    letters: VecDeque<DeadLetter>,
    bytes: usize,
    letters_max: usize,
    bytes_max: usize,
}

// === impl DeadLetter ===

impl DeadLetter {
    fn bytes(&self) -> usize {
        self.events.iter().map(|event| event.get().len()).sum()
    }
}

// === impl DeadReason ===

impl DeadReason {
    pub(crate) fn label(self) -> labels::DeadReason {
        match self {
            Self::Expired => labels::DeadReason::Expired,
            Self::Forbidden => labels::DeadReason::Forbidden,
            Self::QueueFull => labels::DeadReason::QueueFull,
            Self::AnnouncedFull => labels::DeadReason::AnnouncedFull,
            Self::Unconfigured => labels::DeadReason::Unconfigured,
        }
    }
}

// === impl Failure ===

impl Failure {
    /// Why a delivery dies that can't be tried again after this.
    pub(crate) fn dead_reason(&self) -> DeadReason {
        match self {
            Self::Forbidden(_) => DeadReason::Forbidden,
            Self::Status(_) | Self::Timeout | Self::Connect(_) => DeadReason::Expired,
        }
    }

    pub(crate) fn label(&self) -> labels::AttemptOutcome {
        match self {
            Self::Status(_) => labels::AttemptOutcome::Status,
            Self::Timeout => labels::AttemptOutcome::Timeout,
            Self::Connect(_) => labels::AttemptOutcome::Connect,
            Self::Forbidden(_) => labels::AttemptOutcome::Forbidden,
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Status(status) => write!(f, "the receiver answered with status {status}"),
            Self::Timeout => f.write_str("the receiver did not answer in time"),
            Self::Connect(what) => write!(f, "the receiver could not be reached: {what}"),
            Self::Forbidden(what) => write!(f, "the receiver may not be reached: {what}"),
        }
    }
}

// === impl DeadLetters ===

impl DeadLetters {
    pub(crate) fn new(letters_max: usize, bytes_max: usize) -> Self {
        Self { letters: VecDeque::new(), bytes: 0, letters_max, bytes_max }
    }

    pub(crate) fn push(&mut self, letter: DeadLetter) {
        self.bytes += letter.bytes();
        self.letters.push_back(letter);
        while self.letters.len() > self.letters_max || self.bytes > self.bytes_max {
            let Some(oldest) = self.letters.pop_front() else { break };
            self.bytes -= oldest.bytes();
        }
    }

    /// The oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &DeadLetter> {
        self.letters.iter()
    }

    pub(crate) fn len(&self) -> usize {
        self.letters.len()
    }
}

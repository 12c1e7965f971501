//! What is written to the log: records, and the snapshot that stands for all before it. JSON, so that somebody who
//! looks into a segment file can read it.
//!
//! A variant or a field may be added, never changed: a newer version reads what an older one queued.

use std::sync::Arc;
use std::time::Duration;

use courant_auth::AppId;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{DeadLetter, DeadReason, Event, Failure};

/// Names a delivery for as long as it is queued. Never used twice in one log.
pub(crate) type DeliveryId = u64;

/// Names an endpoint in the log.
pub(crate) type EndpointNumber = u32;

/// A change of the queue.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Record {
    /// The log is new, and gets a name that makes its webhooks' ids unique.
    Created { log: u64 },
    /// Configured endpoints that were not known before.
    Endpoints { known: Vec<KnownEndpoint> },
    /// An event is to be delivered to these endpoints; the first delivery has the id `first`, the others follow. An
    /// event that begins or ends something is recorded even when nobody is to be told.
    Queued { first: DeliveryId, time_ms: u64, app: Arc<str>, event: Box<RawValue>, to: Vec<EndpointNumber> },
    /// These deliveries are one request from now on, under the first one's id.
    Batched { ids: Vec<DeliveryId> },
    /// The receivers accepted these.
    Delivered { ids: Vec<DeliveryId> },
    /// An attempt failed, and there will be another.
    Failed { id: DeliveryId, attempts: u32, spent: Duration, last: Failure },
    /// A delivery was given up.
    Died { id: DeliveryId, reason: DeadReason, attempts: u32, last: Option<Failure>, at_ms: u64 },
    /// An event was never queued.
    Refused { letter: DeadLetter },
}

/// An endpoint that records refer to. Another endpoint with the same URL has another ordinal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KnownEndpoint {
    pub(crate) number: EndpointNumber,
    pub(crate) app: String,
    pub(crate) url: String,
    pub(crate) ordinal: usize,
}

/// The whole queue.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    pub(crate) log: u64,
    pub(crate) next_id: DeliveryId,
    pub(crate) endpoints: Vec<KnownEndpoint>,
    pub(crate) announced: Vec<AnnouncedSpan>,
    pub(crate) deliveries: Vec<QueuedDelivery>,
    pub(crate) dead: Vec<DeadLetter>,
}

/// Something that began and whose end is still to be told.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AnnouncedSpan {
    pub(crate) app: Arc<str>,
    pub(crate) channel: Arc<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) user_id: Option<Arc<str>>,
    /// The endpoints that were told of its begin.
    pub(crate) told: Arc<[EndpointNumber]>,
}

/// A delivery in a snapshot.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct QueuedDelivery {
    pub(crate) id: DeliveryId,
    pub(crate) endpoint: EndpointNumber,
    pub(crate) events: Vec<Arc<QueuedEvent>>,
    pub(crate) attempts: u32,
    pub(crate) spent: Duration,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last: Option<Failure>,
}

/// An event as receivers get it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct QueuedEvent {
    pub(crate) time_ms: u64,
    pub(crate) json: Box<RawValue>,
}

// === impl KnownEndpoint ===

impl KnownEndpoint {
    pub(crate) fn is(&self, app: &AppId, url: &str, ordinal: usize) -> bool {
        self.app == app.as_str() && self.url == url && self.ordinal == ordinal
    }
}

// === impl QueuedEvent ===

impl QueuedEvent {
    /// The event, if it is one.
    pub(crate) fn parse(&self) -> Option<Event> {
        serde_json::from_str(self.json.get()).ok()
    }

    /// What it counts against the queue's bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.json.get().len()
    }
}

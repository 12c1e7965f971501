//! From an accepted event to the bus.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use courant_cluster::{Body, BusError, CachedEvent, Message, MessageId, StateError, SubscriberId};
use courant_telemetry::metrics::labels::PublishSource;
use courant_telemetry::traceparent::TraceParent;
use courant_wire::Frame;

use crate::lane::KeepRequest;
use crate::message::ServerEvent;
use crate::name::ChannelName;
use crate::service::{Channels, Tenant, channel_topic};

/// An event for the subscribers of channels.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its data, a JSON string as it goes onto the wire.
    pub data: &'a str,
    /// Who must not get it.
    pub except: Option<SubscriberId>,
    /// Whose event it is, for client events in presence channels.
    pub user_id: Option<&'a str>,
    /// Who published.
    pub source: PublishSource,
    /// The span that the publish is part of, where it is recorded.
    pub trace: Option<TraceParent>,
}

/// Why an event was not published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The bus did not take it.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// The channel's last event could not be kept.
    #[error(transparent)]
    State(#[from] StateError),
}

impl Channels {
    /// Publishes an event to a channel; returns when it is accepted.
    ///
    /// # Errors
    /// The event was not accepted, and no subscriber gets it. In a cache channel it may have become the last event all the
    /// same, which the retry of the publisher then confirms.
    pub async fn publish(
        &self,
        tenant: &Arc<Tenant>,
        channel: &ChannelName,
        event: Event<'_>,
    ) -> Result<(), PublishError> {
        let app = tenant.app.id.as_str();
        let frame = ServerEvent::Channel {
            event: event.name,
            channel: channel.as_str(),
            data: event.data,
            user_id: event.user_id,
        }
        .frame();
        let mut message = message(Body::Frame(frame.clone()), event.except);
        message.trace = event.trace.map(TraceParent::to_bytes);
        if channel.kind().cached && matches!(event.source, PublishSource::Http) {
            let cached =
                CachedEvent { id: message.id, event: frame.payload(), ttl: tenant.app.limits.cache_ttl };
            let (tenant, channel) = (tenant.clone(), channel.clone());
            self.lanes.keep(KeepRequest { tenant, channel, cached, message }).await?;
        } else {
            self.bus.publish(&channel_topic(app, channel.as_str()), message).await?;
        }
        self.metrics.publishes.of(event.source).inc();
        Ok(())
    }
}

/// A message that is accepted now.
pub(crate) fn message(body: Body, except: Option<SubscriberId>) -> Message {
    Message { id: MessageId(rand::random()), except, accepted_at_us: now_us(), body, trace: None }
}

/// A message with an event of the server's own.
pub(crate) fn announcement(frame: Frame, except: Option<SubscriberId>) -> Message {
    message(Body::Frame(frame), except)
}

/// Microseconds since the Unix epoch.
pub fn now_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64)
}

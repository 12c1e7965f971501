//! One client's side of the protocol, whatever carries it.

mod opening;
mod signin;
mod subscribe;
mod subscriptions;

use std::net::IpAddr;
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use courant_auth::WebhookEvent;
use courant_auth::limits::RateLimiter;
use courant_hub::Subscription;
use courant_telemetry::metrics::labels::{Limit, PublishError, PublishSource, ReceivedKind, Transport};
use courant_telemetry::trace::{publish_span, traceparent_of};
use courant_wire::{Closed, Frame, Handler, Step};
use serde_json::value::RawValue;
use tracing::debug;

use crate::error::ProtocolError;
use crate::lane::{LeaveRequest, PresenceOfUser};
use crate::message::{ClientMessage, ServerEvent, decoded_len, quoted};
use crate::name::ChannelName;
use crate::publish::Event;
use crate::service::{Channels, Tenant};
use crate::timer::ConnectionTimer;
use crate::user::User;
use crate::{CloseCode, SocketId};

pub use crate::timer::Peer;
pub use opening::{Hello, Parameters};
use subscriptions::Subscriptions;

static PONG: LazyLock<Frame> = LazyLock::new(|| ServerEvent::Pong.frame());

/// An established connection. Made by [`Channels::open`], and to be given to [`Connection::close`] when its stream ends.
///
/// There may be a million of these: what only some need is boxed.
pub struct Connection {
    channels: Arc<Channels>,
    tenant: Arc<Tenant>,
    id: SocketId,
    peer: Arc<dyn Peer>,
    timer: Arc<ConnectionTimer>,
    address: IpAddr,
    transport: Transport,
    subscriptions: Subscriptions,
    /// The channel that a join is under way for: if the connection ends meanwhile, it is left too.
    joining: Option<Joining>,
    signed_in: Option<Box<SignedIn>>,
    message_rate: RateLimiter,
    client_event_rate: RateLimiter,
}

/// A channel, and as whom in a presence channel.
type Joining = Box<(ChannelName, Option<Arc<str>>)>;

/// The user that a connection acts for, and what follows from it.
struct SignedIn {
    user: User,
    /// To be closed with all of the user's connections, and to hear of those the user watches.
    subscriptions: Vec<Subscription>,
}

impl Connection {
    /// The connection's id.
    pub fn id(&self) -> SocketId {
        self.id
    }

    /// Ends the connection: leaves its channels and tells those who should know. Returns when all leaves are on their way.
    pub async fn close(mut self, closed: Closed) {
        // The hub first, at once: nothing more is written to a connection that is gone.
        let mut leaves: Vec<_> = self.joining.take().map(|joining| *joining).into_iter().collect();
        for (channel, joined) in self.subscriptions.drain() {
            self.channels.hub.unsubscribe(joined.subscription);
            if joined.user_id.is_some() {
                self.channels.metrics.presence_members.dec();
            }
            leaves.push((channel, joined.user_id));
        }
        for (channel, user_id) in leaves {
            let leave = self.leave_request(channel, user_id);
            self.channels.lanes.leave(leave).await;
        }
        if let Some(signed_in) = self.signed_in.take() {
            let SignedIn { user, subscriptions } = *signed_in;
            for subscription in subscriptions {
                self.channels.lanes.unlisten(subscription).await;
            }
            let request = self.presence_of_user(user.id, false);
            let _ = self.channels.lanes.user(request).await;
        }
        self.forget(closed).await;
    }

    async fn forget(&self, closed: Closed) {
        let app = &self.tenant.app.id;
        self.channels.connections.remove(self.id);
        if let Err(error) = self.channels.state.disconnect(app.as_str(), self.id.subscriber()).await {
            tracing::warn!(%error, "a disconnect was not recorded");
        }
        self.channels.recent.left(self.address, app.as_str(), Instant::now());
        self.tenant.connections(self.transport).dec();
        self.channels.metrics.connections_closed.of(closed_label(closed)).inc();
        debug!(socket_id = %self.id, ?closed, "connection closed");
    }

    fn send(&self, frame: &Frame) {
        let _ = self.peer.push(frame);
        self.peer.flush();
    }

    /// Answers with `pusher:error`; the connection stays open.
    fn answer_error(&self, error: &ProtocolError) {
        let message = error.to_string();
        let message = cut(&message, ERROR_BYTES_MAX);
        self.send(&ServerEvent::Error { code: error.code(), message }.frame());
    }

    fn leave_request(&self, channel: ChannelName, user_id: Option<Arc<str>>) -> LeaveRequest {
        LeaveRequest { tenant: self.tenant.clone(), channel, connection: self.id.subscriber(), user_id }
    }

    fn presence_of_user(&self, user_id: Arc<str>, here: bool) -> PresenceOfUser {
        PresenceOfUser { tenant: self.tenant.clone(), user_id, connection: self.id.subscriber(), here }
    }

    fn received(&self, kind: ReceivedKind) {
        self.channels.metrics.messages_received.of(kind).inc();
    }

    fn hit(&self, limit: Limit) {
        self.channels.metrics.limit_hits.of(limit).inc();
    }

    /// Checks a client event; what is left is to publish it.
    fn client_event(
        &mut self,
        event: &str,
        channel: &str,
        data: Option<&RawValue>,
    ) -> Result<ClientEvent, ProtocolError> {
        let app = &self.tenant.app;
        if !event.starts_with("client-") {
            return Err(ProtocolError::NotAClientEvent(event.into()));
        }
        if !app.client_events {
            return Err(ProtocolError::ClientEventsDisabled);
        }
        let name = ChannelName::parse(channel).map_err(|_| ProtocolError::InvalidChannel(channel.into()))?;
        if !name.kind().allows_client_events() {
            return Err(ProtocolError::ClientEventsNotSupported);
        }
        let joined =
            self.subscriptions.get(&name).ok_or_else(|| ProtocolError::NotSubscribed(channel.into()))?;
        let user_id = joined.user_id.clone();
        let bytes_max = app.limits.event_name_bytes_max;
        if event.len() > bytes_max {
            self.hit(Limit::EventName);
            return Err(ProtocolError::ClientEventTooLarge { what: "the event name", bytes_max });
        }
        let data = data.map_or("null", RawValue::get);
        let bytes_max = app.limits.event_bytes_max;
        if decoded_len(data).unwrap_or(data.len()) > bytes_max {
            self.hit(Limit::EventBytes);
            return Err(ProtocolError::ClientEventTooLarge { what: "the data", bytes_max });
        }
        if self.client_event_rate.check(&self.tenant.client_event_quota, Instant::now()).is_err() {
            self.hit(Limit::ClientEventRate);
            return Err(ProtocolError::ClientEventRate { per_second: app.limits.client_events_per_second });
        }
        // Some clients read the data as a string only (pusher-websocket-swift), so an object becomes one.
        let data = if data.starts_with('"') { data.to_owned() } else { quoted(data) };
        Ok(ClientEvent { channel: name, event: event.to_owned(), data, user_id })
    }

    async fn publish(&self, event: ClientEvent) {
        let ClientEvent { channel, event, data, user_id } = event;
        let span = publish_span(None, self.tenant.app.id.as_str(), PublishSource::Client, 1, data.len());
        let outgoing = Event {
            name: &event,
            data: &data,
            except: Some(self.id.subscriber()),
            user_id: user_id.as_deref(),
            source: PublishSource::Client,
            trace: traceparent_of(&span),
        };
        if let Err(error) = self.channels.publish(&self.tenant, &channel, outgoing).await {
            self.channels.metrics.publish_errors.of(PublishError::Unavailable).inc();
            debug!(%error, "a client event was not published");
            self.answer_error(&ProtocolError::Unavailable);
            return;
        }
        let app = &self.tenant.app.id;
        if let Some(webhooks) = &self.channels.webhooks
            && webhooks.wants(app, WebhookEvent::ClientEvent)
        {
            let data: String = serde_json::from_str(&data).unwrap_or_else(|_| data.clone());
            let webhook = courant_webhooks::Event::ClientEvent {
                channel: channel.shared().clone(),
                event,
                data,
                socket_id: self.id.to_string(),
                user_id,
            };
            let _receipt = webhooks.submit(app, webhook);
        }
    }

    /// Unsubscribes from a channel; unknown ones are none of our business.
    fn unsubscribe(&mut self, channel: &str) -> Step<'_> {
        let Ok(name) = ChannelName::parse(channel) else { return Step::Done };
        let Some(joined) = self.subscriptions.remove(&name) else { return Step::Done };
        self.channels.hub.unsubscribe(joined.subscription);
        if joined.user_id.is_some() {
            self.channels.metrics.presence_members.dec();
        }
        let leave = self.leave_request(name, joined.user_id);
        Step::Pending(Box::pin(self.channels.lanes.leave(leave)))
    }

    fn message(&mut self, message: ClientMessage<'_>) -> Step<'_> {
        match message {
            ClientMessage::Ping => {
                self.received(ReceivedKind::Ping);
                self.send(&PONG);
                Step::Done
            }
            ClientMessage::Pong => {
                self.received(ReceivedKind::Pong);
                Step::Done
            }
            ClientMessage::Subscribe { channel, auth, channel_data } => {
                self.received(ReceivedKind::Subscribe);
                self.subscribe(&channel, auth.as_deref(), channel_data.as_deref())
            }
            ClientMessage::Unsubscribe { channel } => {
                self.received(ReceivedKind::Unsubscribe);
                self.unsubscribe(&channel)
            }
            ClientMessage::SignIn { auth, user_data } => {
                self.received(ReceivedKind::SignIn);
                self.sign_in(&auth, user_data.into_owned())
            }
            ClientMessage::ClientEvent { event, channel, data } => {
                self.received(ReceivedKind::ClientEvent);
                match self.client_event(&event, &channel, data) {
                    Ok(event) => Step::Pending(Box::pin(self.publish(event))),
                    Err(error) => {
                        self.answer_error(&error);
                        Step::Done
                    }
                }
            }
            ClientMessage::Unknown { event } => {
                self.received(ReceivedKind::Unknown);
                self.answer_error(&ProtocolError::UnknownEvent(event.into_owned()));
                Step::Done
            }
        }
    }
}

/// The most that an error tells. What the client sent is repeated in it, and a client could send a lot.
const ERROR_BYTES_MAX: usize = 2048;

/// The beginning of a text, cut at a character.
fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

/// A client event that passed all checks.
struct ClientEvent {
    channel: ChannelName,
    event: String,
    data: String,
    user_id: Option<Arc<str>>,
}

impl Handler for Connection {
    fn text(&mut self, text: &str) -> Step<'_> {
        if self.message_rate.check(&self.channels.message_quota, Instant::now()).is_err() {
            self.hit(Limit::MessageRate);
            self.peer.close(CloseCode::OverCapacity.code(), "more messages per second than allowed");
            return Step::Done;
        }
        match ClientMessage::parse(text) {
            Ok(message) => self.message(message),
            Err(error) => {
                self.received(ReceivedKind::Invalid);
                self.answer_error(&ProtocolError::InvalidMessage(error.to_string()));
                Step::Done
            }
        }
    }

    /// "Binary WebSocket frames are not supported" (Pusher WebSocket protocol).
    fn binary(&mut self, _data: &[u8]) -> Step<'_> {
        self.received(ReceivedKind::Invalid);
        self.peer.close(1003, "binary messages are not supported");
        Step::Done
    }
}

fn closed_label(closed: Closed) -> courant_telemetry::metrics::labels::CloseCode {
    match closed {
        Closed::ByPeer(code) | Closed::ByServer(code) => code.into(),
        Closed::Dropped => courant_telemetry::metrics::labels::CloseCode::NONE,
    }
}

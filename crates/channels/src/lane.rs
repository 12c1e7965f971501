//! Lanes: what joins and leaves a channel, one after the other.
//!
//! `State` decides each transition atomically, but deciding and telling are two steps: if two connections joined and left
//! at the same time on two threads, the others could be told in the wrong order, and a member would stay in their lists
//! for ever. So all joins and leaves of a channel go through one task, its lane, which takes each to its end (decision,
//! announcement, webhook) before it begins the next. The coming and going of a signed-in user has a lane for the same
//! reason.
//!
//! What is published to a cache channel takes the same way: between keeping the event and delivering it nobody may join,
//! who would be greeted with an event that is older than one that was delivered already, or with one that is delivered
//! again.
//!
//! Between gateways the order is the bus's.

mod counts;

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use courant_auth::App;
use courant_cluster::{
    Bus, BusError, CachedEvent, Join, Joined, Left, Member, Message, MessageId, State, StateError,
    SubscriberId, Topic,
};
use courant_hub::{Hub, Subscription};
use courant_telemetry::Metrics;
use courant_telemetry::metrics::labels::{Limit, PublishSource};
use courant_webhooks::{Event as WebhookEvent, Webhooks};
use courant_wire::{Frame, Sink};
use tokio::sync::{mpsc, oneshot};
use tracing::{error, warn};

use crate::error::ProtocolError;
use crate::message::{ServerEvent, WatchlistChange};
use crate::name::{Access, ChannelName};
use crate::publish::{PublishError, announcement};
use crate::service::{Tenant, channel_key, channel_topic, watch_topic};
use counts::Counts;

/// How many lanes there are. Each is an idle task of a few hundred bytes; two busy channels rarely share one.
const LANES: usize = 64;

/// What may wait in a lane. Whoever brings more waits: a connection that subscribes, or one that ended and has channels
/// to leave.
const LANE_QUEUE_MAX: usize = 1024;

/// How often the bus is asked to take an announcement; each time it waits as long as for a publish.
const ANNOUNCE_ATTEMPTS_MAX: u32 = 6;

/// The ways into the lanes.
pub(crate) struct Lanes {
    senders: Box<[mpsc::Sender<Step>]>,
    hasher: RandomState,
}

/// A connection's wish to be in a channel, already authorised.
pub(crate) struct JoinRequest {
    pub(crate) tenant: Arc<Tenant>,
    pub(crate) channel: ChannelName,
    pub(crate) connection: SubscriberId,
    pub(crate) sink: Arc<dyn Sink>,
    pub(crate) member: Option<Member>,
}

/// A connection's end in a channel. Its subscription in the hub is over already.
pub(crate) struct LeaveRequest {
    pub(crate) tenant: Arc<Tenant>,
    pub(crate) channel: ChannelName,
    pub(crate) connection: SubscriberId,
    pub(crate) user_id: Option<Arc<str>>,
}

/// A signed-in user's coming or going on one connection.
pub(crate) struct PresenceOfUser {
    pub(crate) tenant: Arc<Tenant>,
    pub(crate) user_id: Arc<str>,
    pub(crate) connection: SubscriberId,
    pub(crate) here: bool,
}

/// A connection's interest in a topic that is no channel: nobody counts or announces it.
pub(crate) struct ListenRequest {
    pub(crate) topic: Topic,
    pub(crate) connection: SubscriberId,
    pub(crate) sink: Arc<dyn Sink>,
}

/// An event that becomes the last one of a cache channel.
pub(crate) struct KeepRequest {
    pub(crate) tenant: Arc<Tenant>,
    pub(crate) channel: ChannelName,
    pub(crate) cached: CachedEvent,
    pub(crate) message: Message,
}

enum Step {
    Keep(Box<KeepRequest>, oneshot::Sender<Result<(), PublishError>>),
    Listen(ListenRequest, oneshot::Sender<Result<Subscription, ProtocolError>>),
    Unlisten(Subscription),
    Join(JoinRequest, oneshot::Sender<Result<Subscription, ProtocolError>>),
    Leave(LeaveRequest),
    User(PresenceOfUser, oneshot::Sender<Result<(), ProtocolError>>),
}

impl Lanes {
    pub(crate) fn start(
        hub: Arc<Hub>,
        bus: Arc<dyn Bus>,
        state: Arc<dyn State>,
        webhooks: Option<Arc<Webhooks>>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let senders = (0..LANES)
            .map(|_| {
                let (sender, steps) = mpsc::channel(LANE_QUEUE_MAX);
                let lane = Lane {
                    hub: hub.clone(),
                    bus: bus.clone(),
                    state: state.clone(),
                    webhooks: webhooks.clone(),
                    metrics: metrics.clone(),
                    counts: Counts::default(),
                };
                tokio::spawn(lane.run(steps));
                sender
            })
            .collect();
        Self { senders, hasher: RandomState::new() }
    }

    /// Joins; the subscription is in force, and greeted, when this returns.
    pub(crate) async fn join(&self, request: JoinRequest) -> Result<Subscription, ProtocolError> {
        let (reply, answer) = oneshot::channel();
        let lane = self.of(request.tenant.app.id.as_str(), request.channel.as_str());
        let _ = lane.send(Step::Join(request, reply)).await;
        answer.await.unwrap_or(Err(ProtocolError::Unavailable))
    }

    /// Leaves; returns when the leave is queued.
    pub(crate) async fn leave(&self, request: LeaveRequest) {
        let lane = self.of(request.tenant.app.id.as_str(), request.channel.as_str());
        let _ = lane.send(Step::Leave(request)).await;
    }

    /// Records a sign-in or a sign-out, and tells those who watch the user.
    pub(crate) async fn user(&self, request: PresenceOfUser) -> Result<(), ProtocolError> {
        let (reply, answer) = oneshot::channel();
        let lane = self.of(request.tenant.app.id.as_str(), &request.user_id);
        let _ = lane.send(Step::User(request, reply)).await;
        answer.await.unwrap_or(Err(ProtocolError::Unavailable))
    }

    /// Keeps an event as its channel's last one and publishes it; returns when it is accepted.
    pub(crate) async fn keep(&self, request: KeepRequest) -> Result<(), PublishError> {
        let (reply, answer) = oneshot::channel();
        let lane = self.of(request.tenant.app.id.as_str(), request.channel.as_str());
        let _ = lane.send(Step::Keep(Box::new(request), reply)).await;
        let ended = || BusError::Unavailable("the process is stopping".into());
        answer.await.unwrap_or_else(|_| Err(ended().into()))
    }

    /// Listens to a topic; the subscription is in force when this returns.
    pub(crate) async fn listen(&self, request: ListenRequest) -> Result<Subscription, ProtocolError> {
        let (reply, answer) = oneshot::channel();
        let _ = self.of_topic(&request.topic).send(Step::Listen(request, reply)).await;
        answer.await.unwrap_or(Err(ProtocolError::Unavailable))
    }

    /// Ends that; returns when it is queued.
    pub(crate) async fn unlisten(&self, subscription: Subscription) {
        let _ = self.of_topic(subscription.topic()).send(Step::Unlisten(subscription)).await;
    }

    fn of_topic(&self, topic: &Topic) -> &mpsc::Sender<Step> {
        self.of("", topic.as_str())
    }

    fn of(&self, app: &str, name: &str) -> &mpsc::Sender<Step> {
        let hash = self.hasher.hash_one((app, name));
        &self.senders[(hash % self.senders.len() as u64) as usize]
    }
}

struct Lane {
    hub: Arc<Hub>,
    bus: Arc<dyn Bus>,
    state: Arc<dyn State>,
    webhooks: Option<Arc<Webhooks>>,
    metrics: Arc<Metrics>,
    counts: Counts,
}

impl Lane {
    async fn run(mut self, mut steps: mpsc::Receiver<Step>) {
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                step = steps.recv() => match step {
                    Some(step) => self.take(step).await,
                    None => return,
                },
                _ = tick.tick(), if self.counts.are_waiting() => {
                    for (topic, frame) in self.counts.due() {
                        self.announce(&topic, announcement(frame, None)).await;
                    }
                }
            }
        }
    }

    async fn take(&mut self, step: Step) {
        match step {
            Step::Keep(request, reply) => {
                // If whoever asked is gone, the event is published all the same, as if the answer had been lost.
                let _ = reply.send(self.keep(*request).await);
            }
            Step::Join(request, reply) => {
                // If whoever asked is gone, the subscription ends by being dropped, and the leave comes when the
                // connection is cleared away.
                let _ = reply.send(self.join(request).await);
            }
            Step::Leave(request) => self.leave(request).await,
            Step::Listen(request, reply) => {
                let topic = request.topic.clone();
                if reply.send(self.listen(request).await).is_err() {
                    self.withdraw(&topic).await;
                }
            }
            Step::Unlisten(subscription) => self.unlisten(subscription).await,
            Step::User(request, reply) => {
                // If whoever asked is gone, it signs out when it is cleared away.
                let _ = reply.send(self.user(request).await);
            }
        }
    }

    async fn keep(&self, request: KeepRequest) -> Result<(), PublishError> {
        let KeepRequest { tenant, channel, cached, message } = request;
        let app = tenant.app.id.as_str();
        self.state.put_cached(&channel_key(app, &channel), cached).await?;
        if let Some(webhooks) = &self.webhooks {
            webhooks.cache_filled(&tenant.app.id, channel.shared());
        }
        Ok(self.bus.publish(&channel_topic(app, channel.as_str()), message).await?)
    }

    async fn listen(&self, request: ListenRequest) -> Result<Subscription, ProtocolError> {
        let ListenRequest { topic, connection, sink } = request;
        self.interest(&topic).await?;
        Ok(self.hub.subscribe(&topic, connection, sink, &[], None))
    }

    async fn unlisten(&self, subscription: Subscription) {
        let topic = subscription.topic().clone();
        self.hub.unsubscribe(subscription);
        self.withdraw(&topic).await;
    }

    async fn interest(&self, topic: &Topic) -> Result<(), ProtocolError> {
        self.bus.subscribe(topic).await.map_err(|error| {
            warn!(%error, "can't listen to a topic");
            ProtocolError::Unavailable
        })
    }

    async fn join(&mut self, request: JoinRequest) -> Result<Subscription, ProtocolError> {
        let JoinRequest { tenant, channel, connection, sink, member } = request;
        let (app, kind) = (&tenant.app, channel.kind());
        let topic = channel_topic(app.id.as_str(), channel.as_str());
        self.interest(&topic).await?;
        if kind.access == Access::ServerToUser {
            // No channel of the application's: it is not counted, listed or told about.
            let greeting = [succeeded(&channel, None)];
            return Ok(self.hub.subscribe(&topic, connection, sink, &greeting, None));
        }
        let join = Join { member: member.clone(), members_max: app.limits.members_max, cached: kind.cached };
        let key = channel_key(app.id.as_str(), &channel);
        let joined = match self.state.join(&key, connection, join).await {
            Ok(joined) => joined,
            Err(error) => {
                self.withdraw(&topic).await;
                return Err(self.refusal(error));
            }
        };
        if joined.member_added
            && let Some(member) = &member
        {
            let frame = ServerEvent::MemberAdded { channel: channel.as_str(), member }.frame();
            self.announce(&topic, announcement(frame, Some(connection))).await;
        }
        let (greeting, skip) = greeting(&channel, &joined, member.is_some());
        let subscription = self.hub.subscribe(&topic, connection, sink, &greeting, skip);
        self.tell_joined(app, &channel, &joined, member.as_ref());
        self.count(app, &channel, &topic, joined.subscription_count).await;
        Ok(subscription)
    }

    async fn leave(&mut self, request: LeaveRequest) {
        let LeaveRequest { tenant, channel, connection, user_id } = request;
        let app = &tenant.app;
        let topic = channel_topic(app.id.as_str(), channel.as_str());
        if channel.kind().access != Access::ServerToUser {
            let key = channel_key(app.id.as_str(), &channel);
            match self.state.leave(&key, connection).await {
                Ok(left) => self.tell_left(app, &channel, &topic, left, user_id.as_deref()).await,
                // The lease of this gateway is what remains: whoever reaps it announces the leave.
                Err(error) => warn!(%error, "a leave was not recorded"),
            }
        }
        self.withdraw(&topic).await;
    }

    /// Lets go of a topic that nobody here listens to any more. All that listen to it come through this lane.
    async fn withdraw(&self, topic: &Topic) {
        if self.hub.subscribers(topic) == 0
            && let Err(error) = self.bus.unsubscribe(topic).await
        {
            warn!(%error, "can't stop listening to a channel");
        }
    }

    async fn user(&self, request: PresenceOfUser) -> Result<(), ProtocolError> {
        let PresenceOfUser { tenant, user_id, connection, here } = request;
        let app = tenant.app.id.as_str();
        let changed = if here {
            self.state.sign_in(app, &user_id, connection).await.map(|signed_in| signed_in.online)
        } else {
            self.state.sign_out(app, &user_id, connection).await.map(|signed_out| signed_out.offline)
        };
        let changed = changed.map_err(|error| self.refusal(error))?;
        if changed && tenant.app.watchlist {
            let changes = [WatchlistChange { online: here, user_ids: vec![&*user_id] }];
            let frame = ServerEvent::Watchlist { changes: &changes }.frame();
            self.announce(&watch_topic(app, &user_id), announcement(frame, None)).await;
        }
        Ok(())
    }

    fn tell_joined(&self, app: &App, channel: &ChannelName, joined: &Joined, member: Option<&Member>) {
        if joined.occupied {
            self.notify(app, WebhookEvent::ChannelOccupied { channel: channel.shared().clone() });
        }
        if joined.member_added
            && let Some(member) = member
        {
            let (channel, user_id) = (channel.shared().clone(), member.user_id.clone());
            self.notify(app, WebhookEvent::MemberAdded { channel, user_id });
        }
        if channel.kind().cached && joined.cached.is_none() {
            self.notify(app, WebhookEvent::CacheMiss { channel: channel.shared().clone() });
        }
    }

    async fn tell_left(
        &mut self,
        app: &App,
        channel: &ChannelName,
        topic: &Topic,
        left: Left,
        user_id: Option<&str>,
    ) {
        if left.member_removed
            && let Some(user_id) = user_id
        {
            let frame = ServerEvent::MemberRemoved { channel: channel.as_str(), user_id }.frame();
            self.announce(topic, announcement(frame, None)).await;
            let (channel, user_id) = (channel.shared().clone(), user_id.into());
            self.notify(app, WebhookEvent::MemberRemoved { channel, user_id });
        }
        self.count(app, channel, topic, left.subscription_count).await;
        if left.vacated {
            self.notify(app, WebhookEvent::ChannelVacated { channel: channel.shared().clone() });
        }
    }

    /// `subscription_count` for channels without presence, where the application wants it.
    async fn count(&mut self, app: &App, channel: &ChannelName, topic: &Topic, subscription_count: u64) {
        if !app.subscription_counting || channel.kind().is_presence() {
            return;
        }
        if let Some(frame) = self.counts.changed(topic, channel, subscription_count) {
            self.announce(topic, announcement(frame, None)).await;
        }
        let channel = channel.shared().clone();
        self.notify(app, WebhookEvent::SubscriptionCount { channel, subscription_count });
    }

    /// Publishes an event of the server's own. Others would keep a wrong list of members if it were lost, so a bus that is
    /// full is asked again, and this lane waits; but not for ever.
    async fn announce(&self, topic: &Topic, message: Message) {
        for attempt in 1..=ANNOUNCE_ATTEMPTS_MAX {
            match self.bus.publish(topic, message.clone()).await {
                Ok(()) => return self.metrics.publishes.of(PublishSource::Server).inc(),
                Err(error) => warn!(%error, attempt, "an announcement was not taken"),
            }
        }
        error!("an announcement was lost");
    }

    fn notify(&self, app: &App, event: WebhookEvent) {
        if let Some(webhooks) = &self.webhooks {
            // The order is fixed here; that it reaches the disk need not hold up the lane.
            let _receipt = webhooks.submit(&app.id, event);
        }
    }

    fn refusal(&self, error: StateError) -> ProtocolError {
        match error {
            StateError::MembersFull { members_max } => {
                self.metrics.limit_hits.of(Limit::PresenceMembers).inc();
                ProtocolError::MembersFull { members_max }
            }
            error => {
                warn!(%error, "a join was not recorded");
                ProtocolError::Unavailable
            }
        }
    }
}

fn succeeded(channel: &ChannelName, members: Option<&[Member]>) -> Frame {
    ServerEvent::SubscriptionSucceeded { channel: channel.as_str(), members }.frame()
}

/// What a subscriber is sent before anything else of the channel, and the message that is part of it.
fn greeting(channel: &ChannelName, joined: &Joined, presence: bool) -> (Vec<Frame>, Option<MessageId>) {
    let mut frames = vec![succeeded(channel, presence.then_some(&*joined.members))];
    if !channel.kind().cached {
        return (frames, None);
    }
    let Some(cached) = &joined.cached else {
        frames.push(ServerEvent::CacheMiss { channel: channel.as_str() }.frame());
        return (frames, None);
    };
    match std::str::from_utf8(&cached.event) {
        Ok(event) => frames.push(Frame::text(event)),
        Err(_) => warn!(%channel, "a cached event is not text"),
    }
    (frames, Some(cached.id))
}

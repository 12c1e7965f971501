//! The hub itself: which topics are listened to here, and the way in for messages.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Weak};

use async_trait::async_trait;
use courant_cluster::{Message, MessageId, Receiver, SubscriberId, Topic};
use courant_wire::{Frame, Sink};
use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::fanout::{self, Job};
use crate::members::{Member, Members};

/// Locks that topics are spread over. Far more than threads, so that two rarely want the same one.
const SHARDS: usize = 256;

/// How the hub is sized.
#[derive(Clone, Copy, Debug)]
pub struct HubSettings {
    /// Fan-out workers; a topic always belongs to the same one. Usually one for each core.
    pub workers: usize,
    /// Messages that may wait for one worker. A publisher waits when they do.
    pub queue_messages_max: usize,
}

impl Default for HubSettings {
    fn default() -> Self {
        Self { workers: 2, queue_messages_max: 4096 }
    }
}

/// Is told what the hub did, to count it. Calls are made for slices of subscribers, never for a single delivery.
pub trait Observer: Send + Sync + 'static {
    /// A fan-out of `messages` begins. What is returned is dropped when it ends: a span, for instance.
    fn fanout_starts(
        &self,
        topic: &Topic,
        messages: &[Message],
        subscribers: usize,
    ) -> Option<Box<dyn Send>> {
        let _ = (topic, messages, subscribers);
        None
    }
    /// `deliveries` frames were handed to a slice of the topic's subscribers.
    fn delivered(&self, messages: &[Message], deliveries: usize) {
        let _ = (messages, deliveries);
    }
    /// The number of messages waiting for fan-out changed.
    fn waiting(&self, delta: i64) {
        let _ = delta;
    }
    /// The number of topics with a local subscriber changed.
    fn topics(&self, delta: i64) {
        let _ = delta;
    }
    /// The number of local subscriptions changed.
    fn subscriptions(&self, delta: i64) {
        let _ = delta;
    }
}

impl Observer for () {}

/// The topics that are listened to in this gateway, and their subscribers.
pub struct Hub {
    this: Weak<Hub>,
    shards: Box<[Shard]>,
    hasher: RandomState,
    workers: Box<[mpsc::Sender<Job>]>,
    observer: Arc<dyn Observer>,
}

#[derive(Default)]
struct Shard {
    topics: Mutex<HashMap<Topic, Arc<Entry>>>,
}

/// A topic with at least one subscriber. Locked after its shard, never before.
pub(crate) struct Entry {
    hub: Weak<Hub>,
    pub(crate) topic: Topic,
    pub(crate) members: Mutex<Members>,
    hash: u64,
}

/// A subscriber's place in a topic. Dropping it ends the subscription, as [`Hub::unsubscribe`] does.
#[must_use]
pub struct Subscription {
    entry: Arc<Entry>,
    slot: u32,
    ended: bool,
}

impl Subscription {
    /// The topic it is a subscription of.
    pub fn topic(&self) -> &Topic {
        &self.entry.topic
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if !self.ended
            && let Some(hub) = self.entry.hub.upgrade()
        {
            hub.remove(&self.entry, self.slot);
        }
    }
}

impl Hub {
    /// A hub with its workers started on the current runtime. They end when the hub is dropped.
    pub fn start(settings: HubSettings, observer: Arc<dyn Observer>) -> Arc<Self> {
        let workers = (0..settings.workers.max(1))
            .map(|_| {
                let (sender, jobs) = mpsc::channel(settings.queue_messages_max.max(1));
                tokio::spawn(fanout::run(jobs, observer.clone()));
                sender
            })
            .collect();
        let shards = (0..SHARDS).map(|_| Shard::default()).collect();
        Arc::new_cyclic(|this| Self {
            this: this.clone(),
            shards,
            hasher: RandomState::new(),
            workers,
            observer,
        })
    }

    /// Subscribes `sink` under `id`, with `greeting` before anything else of this topic.
    ///
    /// The greeting is queued and the subscription made in one step: what is published after the greeting was seen
    /// is delivered, and behind it; what the hub had taken before the subscription is not. A message named by `skip` is part
    /// of the greeting and not delivered again, should it be taken later.
    pub fn subscribe(
        &self,
        topic: &Topic,
        id: SubscriberId,
        sink: Arc<dyn Sink>,
        greeting: &[Frame],
        skip: Option<MessageId>,
    ) -> Subscription {
        let hash = self.hasher.hash_one(topic);
        let mut topics = self.shard(hash).topics.lock();
        let entry = topics.entry(topic.clone()).or_insert_with(|| {
            self.observer.topics(1);
            let hub = self.this.clone();
            Arc::new(Entry { hub, topic: topic.clone(), members: Mutex::default(), hash })
        });
        let entry = entry.clone();
        let slot = {
            let mut members = entry.members.lock();
            for frame in greeting {
                // A sink that is full or closed says so to its own connection, which then leaves.
                let _ = sink.push(frame);
            }
            let since = members.taken;
            members.insert(Member { id, since, skip, sink: sink.clone() })
        };
        drop(topics);
        self.observer.subscriptions(1);
        sink.flush();
        Subscription { entry, slot, ended: false }
    }

    /// Ends a subscription. Answers whether it was the topic's last one here.
    pub fn unsubscribe(&self, mut subscription: Subscription) -> bool {
        subscription.ended = true;
        self.remove(&subscription.entry, subscription.slot)
    }

    fn remove(&self, entry: &Entry, slot: u32) -> bool {
        let mut topics = self.shard(entry.hash).topics.lock();
        let empty = {
            let mut members = entry.members.lock();
            members.remove(slot);
            members.len() == 0
        };
        if empty {
            topics.remove(&entry.topic);
            self.observer.topics(-1);
            if topics.capacity() > 64 && topics.len() * 4 < topics.capacity() {
                topics.shrink_to_fit();
            }
        }
        drop(topics);
        self.observer.subscriptions(-1);
        empty
    }

    /// Subscribers of a topic in this gateway.
    pub fn subscribers(&self, topic: &Topic) -> usize {
        self.entry(topic).map_or(0, |entry| entry.members.lock().len())
    }

    fn entry(&self, topic: &Topic) -> Option<Arc<Entry>> {
        let hash = self.hasher.hash_one(topic);
        self.shard(hash).topics.lock().get(topic).cloned()
    }

    fn shard(&self, hash: u64) -> &Shard {
        &self.shards[(hash % SHARDS as u64) as usize]
    }
}

#[async_trait]
impl Receiver for Hub {
    async fn receive(&self, topic: &Topic, message: Message) {
        let Some(entry) = self.entry(topic) else { return };
        // The shard took the low bits of the hash.
        let worker = &self.workers[((entry.hash >> 32) % self.workers.len() as u64) as usize];
        // The place first: a publisher that gives up while it waits has not counted anything.
        if let Ok(place) = worker.reserve().await {
            self.observer.waiting(1);
            // Numbered and queued in one step, so that the numbers are in the order of the queue. Who joins while the
            // message waits must not get it: it may be older than what the greeting told.
            let owner = entry.clone();
            let mut members = owner.members.lock();
            members.taken += 1;
            place.send(Job { entry, message, number: members.taken });
        }
    }
}

#[cfg(test)]
mod tests;

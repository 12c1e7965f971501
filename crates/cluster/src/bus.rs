//! Messages between gateways.

mod memory;

pub use memory::MemoryBus;

use async_trait::async_trait;
use bytes::Bytes;

use courant_wire::Frame;

use crate::{SubscriberId, Topic};

/// Tells messages apart: random, unique in the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MessageId(pub u64);

/// A message on its way to the subscribers of one topic.
#[derive(Clone, Debug)]
pub struct Message {
    /// Tells it from every other message.
    pub id: MessageId,
    /// The subscriber that must not get it, wherever it is connected.
    pub except: Option<SubscriberId>,
    /// When it was accepted, in microseconds since the Unix epoch.
    pub accepted_at_us: u64,
    /// What subscribers get.
    pub body: Body,
    /// The W3C `traceparent` of the publish, when it is sampled.
    pub trace: Option<Bytes>,
}

/// What a message does to the subscribers it reaches.
#[derive(Clone, Debug)]
pub enum Body {
    /// They are sent this frame.
    Frame(Frame),
    /// They are closed.
    Close {
        /// The WebSocket close code.
        code: u16,
        /// The reason beside it.
        reason: Bytes,
    },
}

/// Carries messages to every gateway with an interest in their topic.
///
/// Messages of one topic from one publisher arrive in the order of their publishing, each once. A message
/// published after `subscribe` returned reaches this gateway.
#[async_trait]
pub trait Bus: Send + Sync + 'static {
    /// Hands a message over. Waits while the way is full; when that lasts too long it is [`BusError::Full`],
    /// and the message was not published.
    async fn publish(&self, topic: &Topic, message: Message) -> Result<(), BusError>;

    /// Makes this gateway's interest in a topic known; it is in force when this returns. Once is enough, and
    /// again does nothing.
    async fn subscribe(&self, topic: &Topic) -> Result<(), BusError>;

    /// Withdraws the interest. Messages may still arrive for a while.
    async fn unsubscribe(&self, topic: &Topic) -> Result<(), BusError>;
}

/// The end of the bus in this gateway.
#[async_trait]
pub trait Receiver: Send + Sync + 'static {
    /// Takes a message for local subscribers. Waits while their queue is full; dropped while it waits, it has
    /// not taken the message.
    async fn receive(&self, topic: &Topic, message: Message);
}

/// Why the bus did not take something.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// The buffer towards subscribers stayed full until the deadline.
    #[error("the message bus is full, try again")]
    Full,
    /// The transport between gateways is away.
    #[error("the message bus is unavailable: {0}")]
    Unavailable(String),
}

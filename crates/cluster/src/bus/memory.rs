//! The bus of a single process: publisher and subscribers are the same gateway.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::timeout;

use crate::{Bus, BusError, Message, Receiver, Topic};

#[cfg(test)]
mod tests;

/// A [`Bus`] that hands each message to its own gateway's [`Receiver`], in the publisher's task.
///
/// There is no queue here: the receiver's own is the only one, so it alone bounds memory, and a publisher
/// waits for exactly the subscribers it publishes to. Order follows from that: a publisher that awaits each
/// publish has its messages received in the same order.
///
/// Interest is not tracked, for a receiver knows its local subscribers anyway.
pub struct MemoryBus {
    receiver: Arc<dyn Receiver>,
    publish_timeout: Duration,
}

impl MemoryBus {
    /// A bus that ends at `receiver`, and whose publishers wait at most `publish_timeout` for room in it.
    pub fn new(receiver: Arc<dyn Receiver>, publish_timeout: Duration) -> Self {
        Self { receiver, publish_timeout }
    }
}

#[async_trait]
impl Bus for MemoryBus {
    async fn publish(&self, topic: &Topic, message: Message) -> Result<(), BusError> {
        let mut receive = self.receiver.receive(topic, message);
        // Nearly always there is room: neither the clock is read nor a timer made for that case.
        let first = poll_fn(|cx| Poll::Ready(receive.as_mut().poll(cx))).await;
        if first.is_ready() {
            return Ok(());
        }
        timeout(self.publish_timeout, receive).await.map_err(|_| BusError::Full)
    }

    async fn subscribe(&self, _topic: &Topic) -> Result<(), BusError> {
        Ok(())
    }

    async fn unsubscribe(&self, _topic: &Topic) -> Result<(), BusError> {
        Ok(())
    }
}

impl fmt::Debug for MemoryBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBus").field("publish_timeout", &self.publish_timeout).finish_non_exhaustive()
    }
}

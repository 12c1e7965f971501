//! How often subscribers are told how many they are.

use std::collections::HashMap;
use std::time::Duration;

use courant_cluster::Topic;
use courant_wire::Frame;
use tokio::time::Instant;

use crate::message::ServerEvent;
use crate::name::ChannelName;

/// Up to this many subscribers each change is told at once (Pusher docs, "Subscription count events").
const EAGER_MAX: u64 = 100;

/// With more, at most one in this time.
const INTERVAL: Duration = Duration::from_secs(5);

/// The large channels whose count was told within the last interval.
#[derive(Default)]
pub(super) struct Counts {
    told: HashMap<Topic, Told>,
}

struct Told {
    at: Instant,
    /// What changed since.
    waiting: Option<Frame>,
}

impl Counts {
    /// Takes a new count; answers the event if it is to be sent now.
    pub(super) fn changed(&mut self, topic: &Topic, channel: &ChannelName, count: u64) -> Option<Frame> {
        if count == 0 {
            self.told.remove(topic);
            return None;
        }
        let event = ServerEvent::SubscriptionCount { channel: channel.as_str(), subscription_count: count };
        let frame = event.frame();
        if count <= EAGER_MAX {
            self.told.remove(topic);
            return Some(frame);
        }
        match self.told.get_mut(topic) {
            Some(told) if told.at.elapsed() < INTERVAL => {
                told.waiting = Some(frame);
                None
            }
            _ => {
                self.told.insert(topic.clone(), Told { at: Instant::now(), waiting: None });
                Some(frame)
            }
        }
    }

    /// Whether [`due`](Self::due) is worth calling from time to time.
    pub(super) fn are_waiting(&self) -> bool {
        !self.told.is_empty()
    }

    /// What has waited for its interval. Channels without change are forgotten.
    pub(super) fn due(&mut self) -> Vec<(Topic, Frame)> {
        let mut due = Vec::new();
        self.told.retain(|topic, told| {
            if told.at.elapsed() < INTERVAL {
                return true;
            }
            let Some(frame) = told.waiting.take() else { return false };
            told.at = Instant::now();
            due.push((topic.clone(), frame));
            true
        });
        due
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use courant_cluster::Topic;

    use super::Counts;
    use crate::name::ChannelName;

    #[tokio::test(start_paused = true)]
    async fn large_channels_are_told_every_five_seconds_and_of_the_last_change() {
        let (topic, channel) = (Topic::new("t"), ChannelName::parse("a").unwrap());
        let mut counts = Counts::default();
        for count in 1..=100 {
            assert!(counts.changed(&topic, &channel, count).is_some());
        }
        assert!(counts.changed(&topic, &channel, 101).is_some());
        assert!(counts.changed(&topic, &channel, 102).is_none());
        assert!(counts.changed(&topic, &channel, 103).is_none());
        assert!(counts.due().is_empty());
        tokio::time::advance(Duration::from_secs(5)).await;
        let due = counts.due();
        assert_eq!(due.len(), 1);
        assert!(String::from_utf8_lossy(&due[0].1.payload()).contains("103"));
        tokio::time::advance(Duration::from_secs(5)).await;
        assert!(counts.due().is_empty());
        assert!(!counts.are_waiting());
    }

    #[tokio::test(start_paused = true)]
    async fn an_emptied_channel_is_told_nothing() {
        let (topic, channel) = (Topic::new("t"), ChannelName::parse("a").unwrap());
        let mut counts = Counts::default();
        assert!(counts.changed(&topic, &channel, 500).is_some());
        assert!(counts.changed(&topic, &channel, 0).is_none());
        assert!(!counts.are_waiting());
    }
}

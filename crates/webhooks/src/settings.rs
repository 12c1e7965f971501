//! How webhooks are queued and delivered.

use std::path::PathBuf;
use std::time::Duration;

use courant_auth::Networks;

use crate::Error;

/// Everything that can be set. Each bound is there so that no receiver, however slow or dead, costs more than it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long a channel stays empty, or a member away, before `channel_vacated` or `member_removed` is sent; a
    /// return within it cancels the webhook. Pusher's is 3 s.
    pub grace: Duration,
    /// Channels and members that receivers were told of and may have to be told the end of, of all applications. Some
    /// 400 bytes each. An application may have as many as are still free, and an equal share while there is room;
    /// beyond it a channel or member is neither announced nor ended. Default 500,000.
    pub announced_max: usize,
    /// A channel's `cache_miss` is told once in this time, unless the channel gets an event. Default 10 s.
    pub cache_miss_window: Duration,
    /// How often at most a channel's `subscription_count` is told, above [`count_throttled_above`]. Pusher's is 5 s.
    ///
    /// [`count_throttled_above`]: Self::count_throttled_above
    pub count_interval: Duration,
    /// Up to so many subscribers every change of `subscription_count` is told. Pusher's is 100.
    pub count_throttled_above: u64,
    /// Channels whose misses or counts are remembered, each. Default 100,000.
    pub remembered_max: usize,

    /// Events that wait for delivery, once for each endpoint that is told. Default 100,000.
    pub queue_max: usize,
    /// Bytes of these, as JSON. Default 64 MiB.
    pub queue_bytes_max: usize,
    /// The longest that a report waits for the disk. Then it goes on, and the event is written as soon as the disk
    /// allows; a kill before that loses it. Default 5 s.
    pub append_wait_max: Duration,

    /// Attempts of one endpoint at one time. Default 8.
    pub concurrency_per_endpoint: usize,
    /// An attempt, from the name's resolution to the status. Default 5 s.
    pub request_timeout: Duration,
    /// How long a failing delivery is tried again, from its first attempt. Pusher's is 5 minutes.
    pub retry_for: Duration,
    /// The wait after the first failure; doubled after each other. Default 1 s.
    pub retry_initial: Duration,
    /// The longest such wait. Default 60 s.
    pub retry_max: Duration,

    /// Events in a request, of an endpoint with batching. Default 50.
    pub batch_max: usize,
    /// Bytes of these. Default 64 KiB.
    pub batch_bytes_max: usize,
    /// How long an event waits for others to share its request, of an endpoint with batching. Default 100 ms.
    pub batch_linger: Duration,

    /// Given-up deliveries that are kept, the newest. Default 1,000.
    pub dead_letters_max: usize,
    /// Bytes of their events. Default 8 MiB.
    pub dead_letters_bytes_max: usize,

    /// Networks that are no part of the public internet, to which webhooks may be sent all the same.
    pub allow_networks: Networks,
    /// Certificate authorities in PEM that are trusted besides the public ones.
    pub extra_ca_file: Option<PathBuf>,
}

// === impl Settings ===

impl Default for Settings {
    fn default() -> Self {
        Self {
            grace: Duration::from_secs(3),
            announced_max: 500_000,
            cache_miss_window: Duration::from_secs(10),
            count_interval: Duration::from_secs(5),
            count_throttled_above: 100,
            remembered_max: 100_000,
            queue_max: 100_000,
            queue_bytes_max: 64 << 20,
            append_wait_max: Duration::from_secs(5),
            concurrency_per_endpoint: 8,
            request_timeout: Duration::from_secs(5),
            retry_for: Duration::from_secs(5 * 60),
            retry_initial: Duration::from_secs(1),
            retry_max: Duration::from_secs(60),
            batch_max: 50,
            batch_bytes_max: 64 << 10,
            batch_linger: Duration::from_millis(100),
            dead_letters_max: 1000,
            dead_letters_bytes_max: 8 << 20,
            allow_networks: Networks::default(),
            extra_ca_file: None,
        }
    }
}

impl Settings {
    /// Refuses what can't work: a bound or a time of zero where nothing could ever be sent.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let positive = [
            ("announced_max", self.announced_max),
            ("queue_max", self.queue_max),
            ("queue_bytes_max", self.queue_bytes_max),
            ("concurrency_per_endpoint", self.concurrency_per_endpoint),
            ("batch_max", self.batch_max),
            ("request_timeout", usize::from(!self.request_timeout.is_zero())),
            ("retry_initial", usize::from(!self.retry_initial.is_zero())),
        ];
        match positive.into_iter().find(|&(_, value)| value == 0) {
            Some((setting, _)) => Err(Error::ZeroSetting { setting }),
            None => Ok(()),
        }
    }
}

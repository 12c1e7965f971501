//! Webhooks with a log and an application.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use courant_auth::{App, AppId, Apps, Key, KeyPair, Secret, WebhookEndpoint};
use courant_telemetry::Metrics;
use courant_webhooks::{Event, Settings, Stats, Webhooks};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::log::TestLog;

/// Longer than any machine takes.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Rig {
    pub(crate) webhooks: Arc<Webhooks>,
    pub(crate) log: Arc<TestLog>,
    pub(crate) metrics: Arc<Metrics>,
    settings: Settings,
    endpoints: Vec<WebhookEndpoint>,
    dir: TempDir,
}

/// Allows the loopback interface, and is in a hurry.
pub(crate) fn settings() -> Settings {
    Settings {
        allow_networks: ["127.0.0.0/8".parse().unwrap()].into_iter().collect(),
        grace: Duration::from_millis(200),
        retry_initial: Duration::from_millis(20),
        retry_max: Duration::from_millis(100),
        ..Settings::default()
    }
}

pub(crate) fn endpoint(url: &str) -> WebhookEndpoint {
    WebhookEndpoint::new(url).unwrap()
}

pub(crate) fn app() -> AppId {
    AppId::new("1001").unwrap()
}

pub(crate) fn secret() -> Secret {
    Secret::new("courant-secret").unwrap()
}

pub(crate) fn occupied(channel: &str) -> Event {
    Event::ChannelOccupied { channel: channel.into() }
}

pub(crate) fn vacated(channel: &str) -> Event {
    Event::ChannelVacated { channel: channel.into() }
}

pub(crate) fn miss(channel: &str) -> Event {
    Event::CacheMiss { channel: channel.into() }
}

impl Rig {
    pub(crate) async fn new(endpoints: Vec<WebhookEndpoint>, settings: Settings) -> Self {
        let dir = TempDir::new().unwrap();
        let log = Arc::new(TestLog::open(&dir).await);
        let metrics = Metrics::new();
        let webhooks = open(&log, &endpoints, &settings, &metrics).await;
        Self { webhooks, log, metrics, settings, endpoints, dir }
    }

    pub(crate) async fn notify(&self, event: Event) {
        self.webhooks.notify(&app(), event).await;
    }

    /// Kills the process, as far as the log and the receivers can tell, and starts another.
    pub(crate) async fn crash(self) -> Self {
        let Self { webhooks, log, metrics, settings, endpoints, dir } = self;
        drop((webhooks, log));
        let log = Arc::new(TestLog::open(&dir).await);
        let webhooks = open(&log, &endpoints, &settings, &metrics).await;
        Self { webhooks, log, metrics, settings, endpoints, dir }
    }

    /// Stops the process properly, and starts another.
    pub(crate) async fn restart(self) -> Self {
        self.webhooks.shutdown(Instant::now() + PATIENCE).await;
        self.crash().await
    }

    /// Waits until the figures are so.
    pub(crate) async fn until(&self, what: &str, is_so: impl Fn(&Stats) -> bool) {
        let start = Instant::now();
        while !is_so(&self.webhooks.stats()) {
            assert!(start.elapsed() < PATIENCE, "never {what}: {:?}", self.webhooks.stats());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) async fn until_delivered(&self) {
        self.until("delivered", |stats| stats.queued == 0).await;
    }

    /// Waits until so many acceptances are on disk: a crash before that is one in the middle of a delivery.
    pub(crate) async fn until_recorded(&self, requests: usize) {
        self.until("recorded", |_| self.log.delivered.load(Ordering::Relaxed) >= requests).await;
    }

    pub(crate) async fn open_again(&self) -> Arc<Webhooks> {
        open(&self.log, &self.endpoints, &self.settings, &self.metrics).await
    }
}

async fn open(
    log: &Arc<TestLog>,
    endpoints: &[WebhookEndpoint],
    settings: &Settings,
    metrics: &Arc<Metrics>,
) -> Arc<Webhooks> {
    let apps = apps(endpoints);
    Webhooks::open(settings.clone(), apps, log.clone(), metrics.clone()).await.unwrap()
}

/// One application, whose oldest key is disabled.
pub(crate) fn apps(endpoints: &[WebhookEndpoint]) -> Arc<Apps> {
    let old =
        KeyPair { disabled: true, ..KeyPair::new(Key::new("old").unwrap(), Secret::new("old").unwrap()) };
    let oldest_active = KeyPair::new(Key::new("courant-key").unwrap(), secret());
    let new = KeyPair::new(Key::new("new").unwrap(), Secret::new("new").unwrap());
    let app = App { webhooks: endpoints.to_vec(), ..App::new(app(), vec![old, oldest_active, new]) };
    Arc::new(Apps::new(vec![app]).unwrap())
}

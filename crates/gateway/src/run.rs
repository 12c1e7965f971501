//! Puts the parts together, and runs them from start to the end of a drain.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use courant_auth::Networks;
use courant_auth::limits::{AddressLimits, Addresses, Quota};
use courant_channels::{Channels, Parts, Settings};
use courant_cluster::{FileLog, FileLogOptions, MemoryBus, MemoryState, MemoryStateLimits};
use courant_hub::{Hub, HubSettings};
use courant_telemetry::{Format, LogSettings, Metrics, Telemetry, TraceSettings};
use courant_webhooks::Webhooks;
use courant_wire::{Context, Wheel};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::banner::{self, Bound};
use crate::config::{self, Config};
use crate::draining::{Stops, drain};
use crate::gateway::Gateway;
use crate::listener::{Acceptor, bind, tls_acceptor};
use crate::observers::{HubObserver, SocketObserver};
use crate::{private, routes};

/// Seconds in the timer wheel: more than the usual longest timer, so that few go round twice.
const WHEEL_SLOTS: usize = 128;

/// File descriptors that are not for clients: listeners, segment files, webhook requests, the runtime's own.
const FILES_RESERVED: u64 = 256;

/// Addresses that are known one by one; what comes beyond shares a few counts. About 100 bytes each.
const ADDRESSES_MAX: NonZeroUsize = NonZeroUsize::new(100_000).unwrap();

/// How long the last webhooks and spans may take to be written after the last client is gone.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// Runs the server until it is told to stop.
///
/// # Errors
/// Something that the configuration names can't be had: an address, a certificate, the data directory.
pub async fn run(config: Config) -> anyhow::Result<()> {
    let telemetry = telemetry(&config)?;
    let connections_max = connections_max(&config)?;
    let mut stops = Stops::catch().context("can't catch signals")?;
    let listeners: Vec<TcpListener> =
        config.server.listen.iter().map(|address| bind(*address)).collect::<Result<_, _>>()?;
    let private_listener = bind(config.server.private_listen)?;
    let bound = Bound::of(&listeners, &private_listener)?;
    let tls = tls_acceptor(&config.server)?;

    let metrics = Metrics::new();
    let webhooks = webhooks(&config, &metrics).await?;
    let wheel = Arc::new(Wheel::new(WHEEL_SLOTS));
    let gateway = gateway(&config, metrics, webhooks.clone(), wheel.clone());

    let stop = CancellationToken::new();
    let turning = tokio::spawn(async move { wheel.run().await });
    let private = private::routes(gateway.clone(), config.metrics.enabled);
    let private = tokio::spawn(axum::serve(private_listener, private).into_future());
    let router = routes::public(gateway.clone(), &config.server.path_prefix);
    let acceptor =
        Acceptor::new(gateway.clone(), router, tls, connections_max, &config.server, &config.limits);
    for listener in listeners {
        gateway.tasks.spawn(acceptor.clone().run(listener, stop.clone()));
    }
    // What reads JSON would stumble over it.
    if !log_format(&config).is_json() {
        eprint!("{}", banner::banner(&config, &bound));
    }
    info!(listen = ?bound.public, private_listen = %bound.private, connections_max, "ready");

    let signal = stops.next().await;
    info!(signal, "stopping; a second signal ends at once");
    tokio::select! {
        () = stopped(&gateway, &config, &stop) => {}
        signal = stops.next() => warn!(signal, "ended before the drain was complete"),
    }
    if let Some(webhooks) = webhooks {
        webhooks.shutdown(Instant::now() + FLUSH_TIMEOUT).await;
    }
    private.abort();
    turning.abort();
    telemetry.shutdown(FLUSH_TIMEOUT).await;
    Ok(())
}

/// Drains, stops listening, and waits until every connection's task has cleared up after itself.
async fn stopped(gateway: &Arc<Gateway>, config: &Config, stop: &CancellationToken) {
    drain(gateway, &config.drain).await;
    // The HTTP API was served until here, so that what applications publish meanwhile reaches who is still connected.
    stop.cancel();
    gateway.tasks.close();
    let patience = config.limits.close_timeout + Duration::from_secs(1);
    if tokio::time::timeout(patience, gateway.tasks.wait()).await.is_err() {
        warn!(remaining = gateway.tasks.len(), "connections did not end in time, and are dropped");
    }
}

fn telemetry(config: &Config) -> anyhow::Result<Telemetry> {
    let log = LogSettings { filter: config.log.level.clone(), format: log_format(config) };
    let traces = TraceSettings {
        otlp_endpoint: config.trace.otlp_endpoint.clone(),
        sample_ratio: config.trace.sample_ratio,
        service_name: config.trace.service_name.clone(),
    };
    Ok(Telemetry::init(&log, &traces)?)
}

fn log_format(config: &Config) -> Format {
    match config.log.format {
        config::LogFormat::Auto => Format::Auto,
        config::LogFormat::Pretty => Format::Pretty,
        config::LogFormat::Json => Format::Json,
    }
}

/// Raises the limit of open files as far as the system lets us, and answers how many connections fit.
fn connections_max(config: &Config) -> anyhow::Result<usize> {
    let files = rlimit::increase_nofile_limit(u64::MAX).context("can't read the limit of open files")?;
    let room = usize::try_from(files.saturating_sub(FILES_RESERVED)).unwrap_or(usize::MAX).max(1);
    match config.limits.connections_max {
        None => Ok(room),
        Some(wanted) if wanted <= room => Ok(wanted),
        Some(wanted) => {
            warn!(
                wanted,
                files, "limits.connections_max is more than the process may open files; raise `ulimit -n`"
            );
            Ok(room)
        }
    }
}

async fn webhooks(config: &Config, metrics: &Arc<Metrics>) -> anyhow::Result<Option<Arc<Webhooks>>> {
    let wanted = config.apps.iter().any(|app| !app.webhooks.is_empty());
    if !wanted {
        return Ok(None);
    }
    let directory = config.server.data_directory.join("log");
    let log = FileLog::open(&directory, FileLogOptions::default())
        .await
        .with_context(|| format!("can't use the data directory {}", directory.display()))?;
    let settings = courant_webhooks::Settings {
        grace: config.webhooks.grace,
        retry_for: config.webhooks.retry_for,
        retry_initial: config.webhooks.retry_initial,
        retry_max: config.webhooks.retry_max,
        request_timeout: config.webhooks.request_timeout,
        queue_max: config.webhooks.queue_max,
        queue_bytes_max: config.webhooks.queue_bytes_max,
        announced_max: config.webhooks.announced_max,
        batch_max: config.webhooks.batch_max,
        dead_letters_max: config.webhooks.dead_letters_max,
        concurrency_per_endpoint: config.webhooks.concurrency_per_endpoint,
        allow_networks: Networks::new(config.webhooks.allow_networks.clone()),
        ..courant_webhooks::Settings::default()
    };
    let webhooks = Webhooks::open(settings, config.apps.clone(), Arc::new(log), metrics.clone());
    Ok(Some(webhooks.await.context("can't open the webhook queue")?))
}

fn gateway(
    config: &Config,
    metrics: Arc<Metrics>,
    webhooks: Option<Arc<Webhooks>>,
    wheel: Arc<Wheel>,
) -> Arc<Gateway> {
    let limits = &config.limits;
    let workers = config
        .server
        .worker_threads
        .or_else(|| std::thread::available_parallelism().ok().map(NonZeroUsize::get));
    let hub_settings = HubSettings { workers: workers.unwrap_or(1), ..HubSettings::default() };
    let hub = Hub::start(hub_settings, Arc::new(HubObserver(metrics.clone())));
    let bus = Arc::new(MemoryBus::new(hub.clone(), limits.publish_timeout));
    let state_limits =
        MemoryStateLimits { cached_bytes_max: limits.cache_bytes_max, ..MemoryStateLimits::default() };
    let state = Arc::new(MemoryState::new(state_limits));
    let rate = at_least_one(limits.connections_per_address_per_second);
    let addresses = Addresses::new(AddressLimits {
        connections_max: at_least_one(limits.connections_per_address_max),
        connection_rate: Quota::per_second(rate, rate.saturating_add(rate.get())),
        exempt: Networks::new(limits.address_exempt.clone()),
        addresses_max: ADDRESSES_MAX,
    });
    let apps = config.apps.clone();
    let parts = Parts {
        apps,
        addresses: addresses.clone(),
        hub,
        bus,
        state,
        webhooks,
        metrics: metrics.clone(),
        wheel,
    };
    let channels = Channels::start(parts, channels_settings(config));
    let context = Context {
        limits: courant_wire::Limits {
            message_bytes_max: limits.message_bytes_max,
            frame_bytes_max: limits.frame_bytes_max.unwrap_or(limits.message_bytes_max),
            fragments_max: u32::try_from(limits.fragments_max).unwrap_or(u32::MAX),
            queue_bytes_max: limits.queue_bytes_max,
            close_timeout: limits.close_timeout,
        },
        observer: Arc::new(SocketObserver(metrics.clone())),
    };
    let trusted_proxies = Networks::new(config.server.trusted_proxies.clone());
    let json_errors = config.compatibility.json_errors;
    Arc::new(Gateway::new(channels, Arc::new(context), metrics, addresses, trusted_proxies, json_errors))
}

fn channels_settings(config: &Config) -> Settings {
    let (limits, liveness) = (&config.limits, &config.liveness);
    Settings {
        activity_timeout: liveness.activity_timeout,
        ping_interval: liveness.ping_interval,
        pong_timeout: liveness.pong_timeout,
        idle_max: liveness.idle_max,
        messages_per_second: at_least_one(limits.messages_per_second),
        messages_burst: at_least_one(limits.messages_burst),
        channels_per_connection_max: limits.channels_per_connection_max,
        require_protocol_parameter: config.compatibility.require_protocol_parameter,
        strict_errors: config.compatibility.strict_errors,
        path_prefix: config.server.path_prefix.clone(),
        http_sessions_max: limits.http_sessions_max,
        queue_bytes_max: limits.http_session_queue_bytes_max,
        request_body_bytes_max: limits.request_body_bytes_max,
        request_body_timeout: limits.request_body_timeout,
        message_bytes_max: limits.message_bytes_max,
    }
}

/// The configuration allows no zero where this is used.
fn at_least_one(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN)
}

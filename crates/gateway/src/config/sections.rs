//! Every setting of the server.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use super::kinds::{
    Choice, address, addresses, choice, count, networks, or_none, path, ratio, size, switch, text_where, time,
};
use super::settings::settings;

settings! {
    /// Where the server listens, and what stands before it.
    pub struct Server("server", "COURANT_SERVER_") {
        /// Where clients and servers connect: all client protocols and HTTP APIs.
        listen: Vec<SocketAddr> = addresses(), default "127.0.0.1:6001";
        /// Where operators connect: `/metrics`, `/livez`, `/readyz`. Never make it public.
        private_listen: SocketAddr = address(), default "127.0.0.1:9601";
        /// What all public paths begin with, such as `/realtime`, for a server that shares its host name with others.
        path_prefix: String = text_where("\"\" or a path such as \"/realtime\", without a slash at its end", is_prefix),
            default "";
        /// Proxies whose `X-Forwarded-For` is believed: the client is the rightmost address that is not one of these.
        trusted_proxies: Vec<IpNet> = networks(), default "";
        /// Whether connections begin with a PROXY protocol header (version 1 or 2), as load balancers that pass TCP
        /// through send it. With `optional` a connection may also come without one.
        proxy_protocol: ProxyProtocol = choice(), default "off";
        /// Who may send a PROXY protocol header. A header from anybody else ends the connection.
        proxy_protocol_from: Vec<IpNet> = networks(), default "";
        /// The certificate chain (PEM) for TLS on the public addresses. Without one they speak plain text.
        tls_certificate: Option<PathBuf> = or_none("", path()), default "";
        /// The private key (PEM) of `tls_certificate`.
        tls_key: Option<PathBuf> = or_none("", path()), default "";
        /// Where durable queues are kept. It is made when the first part needs it.
        data_directory: PathBuf = path(), default "./courant-data";
        /// Threads that serve connections; 0: one for each core.
        worker_threads: Option<usize> = or_none("0", count(1, 1024)), default "0";
    }
}

settings! {
    /// How much one client, one address and all together may use. What goes beyond is refused or closed as documented,
    /// and counted.
    pub struct Limits("limits", "COURANT_LIMITS_") {
        /// From accepting a connection until its TLS handshake is done.
        tls_handshake_timeout: Duration = time("100ms", "5min"), default "5s";
        /// From accepting a connection (or the end of the last request on it) until a request's head is complete, once
        /// it has begun.
        request_head_timeout: Duration = time("100ms", "5min"), default "5s";
        /// Bytes of a request's head.
        request_head_bytes_max: usize = size("8KiB", "1MiB"), default "16KiB";
        /// Header fields of a request.
        request_headers_max: usize = count(16, 1000), default "64";
        /// From the end of a request's head until its body is complete.
        request_body_timeout: Duration = time("100ms", "10min"), default "10s";
        /// Bytes of a request's body. A batch of 10 events of 10 KiB, escaped, must fit.
        request_body_bytes_max: usize = size("1KiB", "64MiB"), default "1MiB";
        /// How long an HTTP connection may wait for its next request.
        keep_alive_timeout: Duration = time("1s", "1h"), default "60s";
        /// Connections of all clients; 0: as many as the process may open files, less a reserve.
        connections_max: Option<usize> = or_none("0", count(1, 100_000_000)), default "0";
        /// Connections of one address, or of one IPv6 /64. Users behind one router share it.
        connections_per_address_max: u32 = count(1, 100_000_000), default "1000";
        /// New connections of one address in a second. Twice as many may come at once.
        connections_per_address_per_second: u32 = count(1, 1_000_000), default "50";
        /// Addresses without these two limits. Loopback, because a proxy on the same machine connects from there.
        address_exempt: Vec<IpNet> = networks(), default "127.0.0.0/8, ::1/128";
        /// Bytes of a message from a client. An event of 10 KiB, escaped twice, must fit.
        message_bytes_max: usize = size("1KiB", "16MiB"), default "64KiB";
        /// Bytes of one frame from a client, of which a message may have several; 0: as many as of a message.
        frame_bytes_max: Option<usize> = or_none("0", size("125", "16MiB")), default "0";
        /// Frames of one message.
        fragments_max: usize = count(1, 10_000), default "64";
        /// Messages of one connection in a second, in the long run.
        messages_per_second: u32 = count(1, 1_000_000), default "100";
        /// Messages of one connection at once. Clients subscribe to all their channels together when they connect, so it
        /// should not be less than `channels_per_connection_max`.
        messages_burst: u32 = count(1, 2_000_000), default "2000";
        /// Channels that one connection subscribes to; an application's own limit may be lower.
        channels_per_connection_max: usize = count(1, 1_000_000), default "1000";
        /// Bytes that wait for one client. One that reads too slowly to stay below is closed.
        queue_bytes_max: usize = size("64KiB", "1GiB"), default "1MiB";
        /// How long a client may take to answer a close, before the connection is cut.
        close_timeout: Duration = time("100ms", "1min"), default "5s";
        /// How long a publish may wait for room in the delivery queues, before it is refused with 503.
        publish_timeout: Duration = time("100ms", "1min"), default "5s";
        /// Clients on the HTTP fallback at one time.
        http_sessions_max: usize = count(1, 10_000_000), default "10000";
        /// Bytes that wait for one client on the HTTP fallback between two of its requests.
        http_session_queue_bytes_max: usize = size("16KiB", "64MiB"), default "256KiB";
        /// Bytes of the last events of all cache channels. Beyond it those that would expire first are dropped.
        cache_bytes_max: usize = size("64KiB", "64GiB"), default "64MiB";
    }
}

settings! {
    /// How broken connections are found.
    pub struct Liveness("liveness", "COURANT_LIVENESS_") {
        /// What clients are told: after so long without a message they ask whether the server is there. Whole seconds.
        activity_timeout: Duration = time("1s", "1h"), default "120s";
        /// After so long without a message from a client, it is asked whether it is there.
        ping_interval: Duration = time("1s", "1h"), default "30s";
        /// How long it may take to answer; then it is closed.
        pong_timeout: Duration = time("1s", "10min"), default "30s";
        /// How long a client that can't be asked (it does not speak pings) may be silent.
        idle_max: Duration = time("1min", "30days"), default "24h";
    }
}

settings! {
    /// How the server stops on SIGTERM: first it is not ready and refuses upgrades, then it closes its connections evenly
    /// over a time, because clients come back at once.
    pub struct Drain("drain", "COURANT_DRAIN_") {
        /// Over how long connections are closed.
        duration: Duration = time("0s", "1h"), default "10s";
        /// After how long the server ends, whatever is still open.
        deadline: Duration = time("1s", "2h"), default "30s";
    }
}

settings! {
    /// How webhooks are sent. Who gets them is set for each application.
    pub struct Webhooks("webhooks", "COURANT_WEBHOOKS_") {
        /// How long "vacated" and "removed" wait: if the client comes back within it, nothing is sent.
        grace: Duration = time("0s", "1min"), default "3s";
        /// How long an event is tried, before it becomes a dead letter.
        retry_for: Duration = time("0s", "7days"), default "5min";
        /// The wait after the first failure; it doubles with each.
        retry_initial: Duration = time("10ms", "1h"), default "1s";
        /// The longest wait.
        retry_max: Duration = time("10ms", "1day"), default "60s";
        /// How long a receiver may take to answer.
        request_timeout: Duration = time("100ms", "5min"), default "5s";
        /// Events that wait on disk, of all applications. When it is full new ones are dropped, and counted.
        queue_max: usize = count(1, 100_000_000), default "100000";
        /// Bytes of the queue on disk.
        queue_bytes_max: usize = size("1MiB", "1024GiB"), default "256MiB";
        /// Channels and members that are remembered because receivers were told of them, some 400 bytes each, of all
        /// applications. One application may have as many as are still free, so that it leaves half to the others;
        /// beyond it new ones are neither announced nor ended, and counted.
        announced_max: usize = count(1, 100_000_000), default "500000";
        /// Events in one request, for receivers with batching.
        batch_max: usize = count(1, 1000), default "50";
        /// Events that could not be delivered and are kept for a look; the oldest go first.
        dead_letters_max: usize = count(0, 1_000_000), default "1000";
        /// Networks that receivers may be in although they are not public. Without them no request goes to private,
        /// loopback, link-local or cloud metadata addresses.
        allow_networks: Vec<IpNet> = networks(), default "";
        /// Requests to one receiver at one time.
        concurrency_per_endpoint: usize = count(1, 1000), default "8";
    }
}

settings! {
    /// What is logged, to standard error.
    pub struct Log("log", "COURANT_LOG_") {
        /// From which level on; for some parts another: `info,courant_webhooks=debug`.
        level: String = text_where(
            "error, warn, info, debug, trace or off, and parts with their own such as \"info,courant_hub=debug\"",
            is_filter
        ), default "info";
        /// For people or for machines; `auto` is for people on a terminal and JSON elsewhere.
        format: LogFormat = choice(), default "auto";
    }
}

settings! {
    /// Traces by OTLP.
    pub struct Trace("trace", "COURANT_TRACE_") {
        /// The collector, such as `http://127.0.0.1:4318`. Without one nothing is traced.
        otlp_endpoint: Option<String> = or_none(
            "", text_where("a URL such as \"http://127.0.0.1:4318\"", is_http_url)
        ), default "";
        /// Which share of publishes is traced, where the publisher did not decide.
        sample_ratio: f64 = ratio(), default "0.01";
        /// What the service is called in traces.
        service_name: String = text_where("a text of 1 to 255 bytes", |name| (1..=255).contains(&name.len())),
            default "courant";
    }
}

settings! {
    /// Metrics for Prometheus, on the private address.
    pub struct Metrics("metrics", "COURANT_METRICS_") {
        /// Whether `/metrics` answers.
        enabled: bool = switch(), default "true";
    }
}

settings! {
    /// Where official clients and other servers differ from the documented protocol.
    pub struct Compatibility("compatibility", "COURANT_COMPATIBILITY_") {
        /// Whether a client that names no protocol version is closed with 4008, as Pusher does. Otherwise it is taken for
        /// version 7.
        require_protocol_parameter: bool = switch(), default "false";
        /// Whether a refused subscription is answered by `pusher:error` alone, as Pusher does. Otherwise
        /// `pusher:subscription_error` comes before it, which clients hand to the channel, so that applications can act on it.
        strict_errors: bool = switch(), default "false";
        /// Whether the HTTP API's errors are JSON for callers that accept `application/json` and not plain text.
        json_errors: bool = switch(), default "false";
    }
}

/// Whether connections begin with a PROXY protocol header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyProtocol {
    /// They don't.
    Off,
    /// They may.
    Optional,
    /// They must.
    Required,
}

/// What logs look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Pretty on a terminal, JSON elsewhere.
    Auto,
    /// For people.
    Pretty,
    /// For machines.
    Json,
}

impl Choice for ProxyProtocol {
    const ALL: &'static [(&'static str, Self)] =
        &[("off", Self::Off), ("optional", Self::Optional), ("required", Self::Required)];
}

impl Choice for LogFormat {
    const ALL: &'static [(&'static str, Self)] =
        &[("auto", Self::Auto), ("pretty", Self::Pretty), ("json", Self::Json)];
}

fn is_prefix(path: &str) -> bool {
    let is_segment = |segment: &str| {
        !segment.is_empty()
            && segment != "."
            && segment != ".."
            && segment.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b))
    };
    path.is_empty() || path.strip_prefix('/').is_some_and(|rest| rest.split('/').all(is_segment))
}

fn is_filter(filter: &str) -> bool {
    let is_level = |level: &str| {
        ["off", "error", "warn", "info", "debug", "trace"].iter().any(|name| level.eq_ignore_ascii_case(name))
    };
    let is_target = |target: &str| {
        !target.is_empty() && target.bytes().all(|b| b.is_ascii_alphanumeric() || b"_:-".contains(&b))
    };
    filter.split(',').map(str::trim).all(|part| match part.split_once('=') {
        Some((target, level)) => is_target(target) && is_level(level),
        None => is_level(part),
    })
}

fn is_http_url(url: &str) -> bool {
    let is_http = |uri: http::Uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty())
    };
    url.parse().is_ok_and(is_http)
}

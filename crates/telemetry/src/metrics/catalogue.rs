//! The table of all metrics.

use prometheus::{Counter, Histogram, IntCounter, IntGauge};

use super::bulk::BulkHistogram;
use super::instrument::{BuildInfo, ConnectionsByApp, CounterBy, CounterBy2, HistogramBy, Instrument};
use super::labels::{
    AttemptOutcome, CloseCode, DeadReason, Endpoint, Limit, PublishError, PublishSource, ReceivedKind,
    RejectReason, Status, Transport,
};
use super::{Exposition, MetricInfo, Moves, Unit, buckets};

macro_rules! catalogue {
    ($($field:ident: $type:ty = $name:literal, $unit:ident, $moves:ident $(, $buckets:ident)?; $help:literal)+) => {
        /// All metrics of a process, as typed fields.
        pub struct Metrics {
            pub(super) exposition: Exposition,
            $(#[doc = concat!("`", $name, "`: ", $help)] pub $field: $type,)+
        }

        impl Metrics {
            pub(super) fn register(exposition: Exposition) -> Self {
                let mut rows = CATALOGUE.iter();
                $(
                    // Fields and rows come from the same list, in the same order.
                    let info = rows.next().expect("the catalogue has a row for each field");
                    let $field = <$type as Instrument>::register(info, &exposition.registry);
                )+
                Self { exposition, $($field),+ }
            }
        }

        /// Every metric, in the order of the documentation.
        pub const CATALOGUE: &[MetricInfo] = &[$(
            MetricInfo {
                name: $name,
                kind: <$type as Instrument>::KIND,
                labels: <$type as Instrument>::LABELS,
                unit: Unit::$unit,
                moves: Moves::$moves,
                buckets: catalogue!(@buckets $($buckets)?),
                help: $help,
            },
        )+];
    };
    (@buckets) => { None };
    (@buckets $buckets:ident) => { Some(&buckets::$buckets) };
}

catalogue! {
    // Connections
    connections: ConnectionsByApp = "courant_connections", Count, PerConnection;
        "Connections that are open, by app and transport; the apps after the first hundred count as `other`."
    connections_accepted: CounterBy<Transport> = "courant_connections_accepted_total", Count, PerConnection;
        "Connections that were established."
    connections_rejected: CounterBy<RejectReason> = "courant_connections_rejected_total", Count, PerConnection;
        "Connections that were refused before they were established."
    connections_closed: CounterBy<CloseCode> = "courant_connections_closed_total", Count, PerConnection;
        "Established connections that ended, by the close code of whichever side closed; `none` for a stream that just ended."
    reconnections: IntCounter = "courant_reconnections_total", Count, PerConnection;
        "Connections established from an address to an app that it had been connected to within the last minute or two."
    slow_consumers: IntCounter = "courant_slow_consumers_total", Count, Rarely;
        "Connections closed because more bytes were queued to them than may be."
    limit_hits: CounterBy<Limit> = "courant_limit_hits_total", Count, PerMessage;
        "Times a bound was hit, by the bound."

    // Subscriptions
    subscriptions: IntGauge = "courant_subscriptions", Count, PerConnection;
        "Subscriptions of the connections of this gateway."
    channels: IntGauge = "courant_channels", Count, PerConnection;
        "Topics that at least one connection of this gateway listens to."
    presence_members: IntGauge = "courant_presence_members", Count, PerConnection;
        "Memberships of presence channels held by the connections of this gateway; a user with two connections counts twice."

    // Messages in
    messages_received: CounterBy<ReceivedKind> = "courant_messages_received_total", Count, PerMessage;
        "Messages that clients sent, by what they asked for."
    received_bytes: IntCounter = "courant_received_bytes_total", Bytes, PerMessage;
        "Bytes read from connections, after TLS."
    publishes: CounterBy<PublishSource> = "courant_publishes_total", Count, PerMessage;
        "Events accepted for publishing; one event to three channels counts three times."
    publish_errors: CounterBy<PublishError> = "courant_publish_errors_total", Count, PerMessage;
        "Events that were refused."

    // Messages out
    deliveries: IntCounter = "courant_deliveries_total", Count, PerDelivery;
        "Messages queued to a subscriber's socket."
    sent_bytes: IntCounter = "courant_sent_bytes_total", Bytes, PerDelivery;
        "Bytes handed to sockets, before TLS."
    frames_written: IntCounter = "courant_frames_written_total", Count, PerDelivery;
        "Frames handed to sockets. Divided by the writes it tells how many frames share a system call."
    writes: IntCounter = "courant_writes_total", Count, PerDelivery;
        "Writes to sockets: system calls where there is no TLS."
    delivery_latency: BulkHistogram = "courant_delivery_latency_seconds", Seconds, PerDelivery, DELIVERY;
        "From accepting an event to handing it to a subscriber's socket."
    fanout_subscribers: Histogram = "courant_fanout_subscribers", Count, PerMessage, FANOUT;
        "Local subscribers that one event was delivered to."
    fanout_queue_messages: IntGauge = "courant_fanout_queue_messages", Count, PerMessage;
        "Events that wait for a fan-out worker."
    queue_bytes: IntGauge = "courant_queue_bytes", Bytes, PerDelivery;
        "Bytes queued to sockets that do not take them now."

    // HTTP API
    http_requests: CounterBy2<Endpoint, Status> = "courant_http_requests_total", Count, PerRequest;
        "Requests answered on the public port."
    http_request_seconds: HistogramBy<Endpoint> = "courant_http_request_seconds", Seconds, PerRequest, HTTP;
        "From the end of a request's head to its answer."

    // Webhooks
    webhooks_queued: IntGauge = "courant_webhooks_queued", Count, PerRequest;
        "Webhooks that wait for their first or next attempt."
    webhooks_announced: IntGauge = "courant_webhooks_announced", Count, PerConnection;
        "Channels and members whose end webhooks may have to tell; `webhooks.announced_max` bounds it, and each app has a share of that."
    webhooks_delivered: IntCounter = "courant_webhooks_delivered_total", Count, PerRequest;
        "Webhooks that their receiver accepted."
    webhooks_attempts: CounterBy<AttemptOutcome> = "courant_webhooks_attempts_total", Count, PerRequest;
        "Attempts to deliver a webhook, by how they ended."
    webhooks_dead: CounterBy<DeadReason> = "courant_webhooks_dead_total", Count, Rarely;
        "Webhooks given up and put onto the dead-letter list."
    webhooks_delivery_seconds: Histogram = "courant_webhooks_delivery_seconds", Seconds, PerRequest, WEBHOOK;
        "From an event to the acceptance of its webhook."

    webhooks_journal_failing: IntGauge = "courant_webhooks_journal_failing", Flag, AtScrape;
        "1 while the webhook queue can't be written to disk: webhooks are sent, but would not survive a crash."

    // Draining
    draining: IntGauge = "courant_draining", Flag, Rarely;
        "1 while this gateway moves its connections away, else 0."
    drain_remaining: IntGauge = "courant_drain_remaining", Count, Rarely;
        "Connections that a running drain has still to close."

    // The process
    build_info: BuildInfo = "courant_build_info", Flag, Rarely;
        "Always 1; version and revision of this build are labels."
    process_cpu_seconds: Counter = "process_cpu_seconds_total", Seconds, AtScrape;
        "Processor time of this process, in user and kernel mode."
    process_resident_memory_bytes: IntGauge = "process_resident_memory_bytes", Bytes, AtScrape;
        "Memory of this process that is in RAM."
    process_virtual_memory_bytes: IntGauge = "process_virtual_memory_bytes", Bytes, AtScrape;
        "Address space of this process."
    process_threads: IntGauge = "process_threads", Count, AtScrape;
        "Threads of this process."
    process_open_fds: IntGauge = "process_open_fds", Count, AtScrape;
        "File descriptors that are open."
    process_max_fds: IntGauge = "process_max_fds", Count, AtScrape;
        "File descriptors that may be open; -1 where there is no limit."
    process_start_time_seconds: IntGauge = "process_start_time_seconds", Seconds, AtScrape;
        "When this process started, in seconds since 1970."
}

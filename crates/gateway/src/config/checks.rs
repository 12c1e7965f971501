//! What can only be wrong together.

use std::net::SocketAddr;
use std::time::Duration;

use humantime::format_duration;

use super::apps::Declared;
use super::sections::{Drain, Limits, Liveness, ProxyProtocol, Server, Webhooks};
use super::source::Reader;

/// What an event may take beside its data: the names, the socket id, JSON's quotes.
const EVENT_ENVELOPE_BYTES: usize = 1024;

pub(super) fn server(server: &Server, reader: &mut Reader<'_>) {
    match (&server.tls_certificate, &server.tls_key) {
        (Some(_), None) => {
            reader.report("server", "tls_certificate", "it needs server.tls_key, the key of the certificate");
        }
        (None, Some(_)) => {
            reader.report("server", "tls_key", "it needs server.tls_certificate, the certificate of the key");
        }
        _ => {}
    }
    for (at, address) in server.listen.iter().enumerate() {
        if server.listen[..at].iter().any(|earlier| clash(earlier, address)) {
            reader.report("server", "listen", format!("{address} clashes with another address of the list"));
        }
        if clash(address, &server.private_listen) {
            reader.report_contradiction(
                "server",
                "private_listen",
                "listen",
                format!("it clashes with {address} of server.listen; give it a port of its own"),
            );
        }
    }
    if server.proxy_protocol == ProxyProtocol::Off && !server.proxy_protocol_from.is_empty() {
        reader.report(
            "server",
            "proxy_protocol_from",
            "it does nothing while server.proxy_protocol is \"off\"; set that to \"optional\" or \"required\"",
        );
    }
    if server.proxy_protocol != ProxyProtocol::Off && server.proxy_protocol_from.is_empty() {
        reader.report(
            "server",
            "proxy_protocol",
            "it needs server.proxy_protocol_from, the networks of the load balancers that are believed",
        );
    }
}

/// Whether two addresses can't be listened on at the same time. Port 0 stands for any free one.
fn clash(a: &SocketAddr, b: &SocketAddr) -> bool {
    let same_ip = a.ip() == b.ip();
    let covers = |x: &SocketAddr, y: &SocketAddr| x.ip().is_unspecified() && (x.is_ipv6() || y.is_ipv4());
    a.port() != 0 && a.port() == b.port() && (same_ip || covers(a, b) || covers(b, a))
}

pub(super) fn limits(limits: &Limits, reader: &mut Reader<'_>) {
    let Some(frame_bytes_max) = limits.frame_bytes_max else { return };
    let bytes_possible = frame_bytes_max.saturating_mul(limits.fragments_max);
    if bytes_possible < limits.message_bytes_max {
        reader.report(
            "limits",
            "frame_bytes_max",
            format!(
                "{} such frames (limits.fragments_max) hold {bytes_possible} bytes, less than limits.message_bytes_max, \
                 which is {}",
                limits.fragments_max, limits.message_bytes_max
            ),
        );
    }
}

pub(super) fn times(liveness: &Liveness, drain: &Drain, webhooks: &Webhooks, reader: &mut Reader<'_>) {
    if liveness.activity_timeout.subsec_nanos() != 0 {
        reader.report(
            "liveness",
            "activity_timeout",
            "it must be whole seconds, because clients are told seconds",
        );
    }
    if liveness.idle_max < liveness.activity_timeout {
        reader.report_contradiction(
            "liveness",
            "idle_max",
            "activity_timeout",
            format!(
                "it is {}; it can't be less than liveness.activity_timeout, for which clients are silent by design, and \
                 which is {}",
                format_duration(liveness.idle_max),
                format_duration(liveness.activity_timeout)
            ),
        );
    }
    if drain.deadline < drain.duration {
        reader.report_contradiction(
            "drain",
            "deadline",
            "duration",
            format!(
                "it is {}; it can't be less than drain.duration, over which connections are closed, and which is {}",
                format_duration(drain.deadline),
                format_duration(drain.duration)
            ),
        );
    }
    if webhooks.retry_max < webhooks.retry_initial {
        reader.report_contradiction(
            "webhooks",
            "retry_max",
            "retry_initial",
            format!(
                "it is {}; it can't be less than webhooks.retry_initial, which is {}",
                format_duration(webhooks.retry_max),
                format_duration(webhooks.retry_initial)
            ),
        );
    }
    if webhooks.retry_for > Duration::ZERO && webhooks.retry_for < webhooks.retry_initial {
        reader.report_contradiction(
            "webhooks",
            "retry_for",
            "retry_initial",
            format!(
                "it is {}; with less than webhooks.retry_initial, which is {}, nothing is tried again; if that is meant, \
                 say 0s",
                format_duration(webhooks.retry_for),
                format_duration(webhooks.retry_initial)
            ),
        );
    }
}

/// Whether an application's largest event gets through the server's limits.
pub(super) fn apps(declared: &[Declared], limits: &Limits, reader: &mut Reader<'_>) {
    for Declared { app, given, .. } in declared {
        let event_bytes = app.event_bytes_max + EVENT_ENVELOPE_BYTES;
        let bounds = [
            ("limits.message_bytes_max", limits.message_bytes_max, app.client_events),
            ("limits.request_body_bytes_max", limits.request_body_bytes_max, true),
            ("limits.queue_bytes_max", limits.queue_bytes_max, true),
            ("limits.http_session_queue_bytes_max", limits.http_session_queue_bytes_max, true),
        ];
        for (name, bytes_max, applies) in bounds {
            if applies && event_bytes > bytes_max {
                let message = format!(
                    "with names and quotes an event of {} bytes does not fit into {name}, which is {bytes_max}; raise that",
                    app.event_bytes_max
                );
                reader.push(given.problem("event_bytes_max", message));
            }
        }
        if app.channels_per_connection_max > limits.channels_per_connection_max
            && given.has("channels_per_connection_max")
        {
            let message = format!(
                "it is more than limits.channels_per_connection_max, which is {}; raise that",
                limits.channels_per_connection_max
            );
            reader.push(given.problem("channels_per_connection_max", message));
        }
    }
}

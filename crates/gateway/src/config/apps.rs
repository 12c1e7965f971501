//! The applications.

use std::path::PathBuf;
use std::time::Duration;

use toml_edit::TableLike;

use super::kinds::{count, headers, or_none, path, secret, size, switch, text, texts, time};
use super::problem::Place;
use super::settings::{Documented, Section, settings};
use super::source::{Given, Reader};

mod build;

pub(super) use build::build;

settings! {
    /// An application: its own channels, keys, limits and webhooks. The environment declares one more application, with one
    /// key pair and one webhook, if `COURANT_APP_ID` is set.
    pub(super) struct AppSettings("apps", "COURANT_APP_") {
        /// What it is called in the HTTP API's paths. Required. Use a number: several official SDKs take nothing else.
        id: String = text("1 to 64 letters, digits, '-' and '_'; numbers suit every SDK"), default "", example "1";
        /// What people call it.
        name: Option<String> = or_none("", text("a text")), default "";
        /// The key of its first pair; more go into `[[apps.keys]]`.
        key: Option<String> = or_none("", text("1 to 64 letters, digits, '-' and '_'")), default "",
            example "an-app-key";
        /// The secret of `key`.
        secret: Option<String> = or_none("", secret()), default "", example "a-long-random-text";
        /// A file with the secret of `key`, instead of `secret`. A line end after it does not count.
        secret_file: Option<PathBuf> = or_none("", path()), default "";
        /// Whether clients may connect and servers may publish.
        enabled: bool = switch(), default "true";
        /// Whether clients must come over TLS; others are told to use it (4000). Behind a proxy that ends TLS, it must be one
        /// of `server.trusted_proxies` and send `X-Forwarded-Proto`.
        tls_required: bool = switch(), default "false";
        /// Whether clients may send `client-` events on private and presence channels.
        client_events: bool = switch(), default "false";
        /// Whether subscribers are told how many they are.
        subscription_counting: bool = switch(), default "false";
        /// Whether signed-in users are told who of those they watch is online.
        watchlist: bool = switch(), default "false";
        /// Connections that neither sign in nor subscribe to a private or presence channel within this time are closed; 0s:
        /// never.
        authorized_connections: Option<Duration> = or_none("0s", time("1s", "1day")), default "0s";
        /// Web pages that may connect; empty: all. A scheme, host and port, a host, or `*.` and a host.
        allowed_origins: Vec<String> = texts(
            "a list of origins such as [\"https://app.example.com\", \"*.example.com\"]"
        ), default "";
        /// Connections at one time; 0: as many as the server takes.
        connections_max: Option<u64> = or_none("0", count(1, 1_000_000_000)), default "0";
        /// Bytes of an event's data.
        event_bytes_max: usize = size("1KiB", "8MiB"), default "10KiB";
        /// Events in a batch.
        batch_max: usize = count(1, 1000), default "10";
        /// Channels of one publish.
        channels_per_publish_max: usize = count(1, 10_000), default "100";
        /// Users in a presence channel.
        members_max: usize = count(1, 1_000_000), default "100";
        /// Bytes of a presence member's `channel_data`.
        member_bytes_max: usize = size("64", "64KiB"), default "1KiB";
        /// Client events of one connection in a second.
        client_events_per_second: u32 = count(1, 1_000_000), default "10";
        /// Bytes of a channel's name.
        channel_name_bytes_max: usize = count(16, 200), default "200";
        /// Bytes of an event's name.
        event_name_bytes_max: usize = count(16, 1000), default "200";
        /// Channels that one connection subscribes to.
        channels_per_connection_max: usize = count(1, 1_000_000), default "1000";
        /// Users that one user watches.
        watchlist_max: usize = count(1, 100_000), default "100";
        /// How long a cache channel keeps its last event.
        cache_ttl: Duration = time("1s", "30days"), default "30min";
        /// Bytes of a signed-in user's id.
        user_id_bytes_max: usize = count(1, 1000), default "200";
        /// Bytes of a presence member's id.
        member_id_bytes_max: usize = count(1, 1000), default "128";
    }
}

settings! {
    /// A key pair of the application before it, the oldest first. Add a new one, move your servers to it, then disable
    /// and remove the old one. Webhooks are signed with the oldest that is not disabled.
    pub(super) struct KeySettings("apps.keys", "") {
        /// The key. Required.
        key: String = text("1 to 64 letters, digits, '-' and '_'"), default "", example "another-app-key";
        /// The secret.
        secret: Option<String> = or_none("", secret()), default "", example "another-long-random-text";
        /// A file with the secret, instead of `secret`. A line end after it does not count.
        secret_file: Option<PathBuf> = or_none("", path()), default "";
        /// Whether it is as if the pair were not there.
        disabled: bool = switch(), default "false";
    }
}

settings! {
    /// A receiver of webhooks of the application before it.
    pub(super) struct WebhookSettings("apps.webhooks", "COURANT_APP_WEBHOOK_") {
        /// Where events are posted. Required.
        url: String = text("a URL such as \"https://example.com/hook\""), default "",
            example "https://example.com/hook";
        /// What it is told; empty: everything.
        event_types: Vec<String> = texts(
            "a list out of channel_occupied, channel_vacated, member_added, member_removed, client_event, cache_miss and \
             subscription_count"
        ), default "";
        /// It is told only about channels whose name begins so.
        channel_prefix: Option<String> = or_none("", text("a text")), default "";
        /// It is told only about channels whose name ends so.
        channel_suffix: Option<String> = or_none("", text("a text")), default "";
        /// Sent with every request.
        headers: Vec<(String, String)> = headers(), default "";
        /// Whether a request may carry several events.
        batching: bool = switch(), default "false";
    }
}

/// An application as it was declared, with the places of what was.
pub(super) struct Declared {
    pub(super) app: AppSettings,
    pub(super) given: Given,
    keys: Vec<(KeySettings, Given)>,
    webhooks: Vec<(WebhookSettings, Given)>,
}

/// What the documents say.
pub(super) fn documented() -> [Documented; 3] {
    [AppSettings::documented(), KeySettings::documented(), WebhookSettings::documented()]
}

/// All applications of the file, then the one of the environment.
pub(super) fn read(reader: &mut Reader<'_>) -> Vec<Declared> {
    let root = reader.root();
    let mut declared = Vec::new();
    for (place, table) in reader.tables(root, "apps", "apps") {
        declared.push(read_app(reader, place, table));
    }
    if reader.environment_has(AppSettings::ENVIRONMENT_PREFIX) {
        declared.push(read_environment(reader));
    }
    declared
}

fn read_app<'a>(reader: &mut Reader<'a>, place: Place, table: &'a dyn TableLike) -> Declared {
    let (app, given) =
        reader.table::<AppSettings>("apps".into(), Some(place), Some(table), false, &["keys", "webhooks"]);
    let mut keys = Vec::new();
    for (place, table) in reader.tables(Some(table), "keys", "apps.keys") {
        keys.push(reader.table("apps.keys".into(), Some(place), Some(table), false, &[]));
    }
    let mut webhooks = Vec::new();
    for (place, table) in reader.tables(Some(table), "webhooks", "apps.webhooks") {
        webhooks.push(reader.table("apps.webhooks".into(), Some(place), Some(table), false, &[]));
    }
    Declared { app, given, keys, webhooks }
}

fn read_environment(reader: &mut Reader<'_>) -> Declared {
    let place = |name: &str| Some(Place::Variable(format!("{}{name}", AppSettings::ENVIRONMENT_PREFIX)));
    let (app, given) = reader.table::<AppSettings>("apps".into(), place("ID"), None, true, &[]);
    let mut webhooks = Vec::new();
    if reader.environment_has(WebhookSettings::ENVIRONMENT_PREFIX) {
        webhooks.push(reader.table("apps.webhooks".into(), place("WEBHOOK_URL"), None, true, &[]));
    }
    Declared { app, given, keys: Vec::new(), webhooks }
}

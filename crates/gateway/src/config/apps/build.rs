//! From what was declared to applications.

use std::path::Path;

use courant_auth::{
    App, AppId, AppLimits, Apps, AppsError, IdentityError, Key, KeyPair, OriginPattern, Secret,
    WebhookEndpoint, WebhookError, WebhookEvent,
};

use super::{AppSettings, Declared, WebhookSettings};
use crate::config::development;
use crate::config::problem::Problem;
use crate::config::sections::Server;
use crate::config::source::{Given, Reader};

/// The registry of all, or of the development application where there are none; and whether it is that.
pub(in crate::config) fn build(
    declared: &[Declared],
    server: &Server,
    reader: &mut Reader<'_>,
) -> (Apps, bool) {
    let is_public = server.listen.iter().any(|address| !address.ip().to_canonical().is_loopback());
    let mut apps = Apps::default();
    for one in declared {
        if is_public {
            refuse_development_credentials(one, reader);
        }
        let Some(app) = build_app(one, reader) else { continue };
        if let Err(error) = apps.add(app) {
            let message = error.to_string();
            reader.push(match error {
                AppsError::DuplicateKey(key) => one.key_given(key.as_str()).problem("key", message),
                AppsError::DuplicateId(_) => one.given.problem("id", message),
                AppsError::NoActiveKey(_) => one.given.problem("key", message),
            });
        }
    }
    if declared.is_empty() {
        add_development_app(&mut apps, is_public, reader);
    }
    (apps, declared.is_empty())
}

fn add_development_app(apps: &mut Apps, is_public: bool, reader: &mut Reader<'_>) {
    if is_public {
        reader.report(
            "server",
            "listen",
            "no application is configured, and the development application, whose secret everybody knows, is only for \
             loopback addresses; declare one with [[apps]], or with COURANT_APP_ID, COURANT_APP_KEY and COURANT_APP_SECRET",
        );
        return;
    }
    let added = development_app().map_err(|error| error.to_string());
    if let Err(message) = added.and_then(|app| apps.add(app).map_err(|error| error.to_string())) {
        reader.report("apps", "id", message);
    }
}

fn development_app() -> Result<App, IdentityError> {
    let pair = KeyPair::new(Key::new(development::KEY)?, Secret::new(development::SECRET)?);
    let mut app = App::new(AppId::new(development::APP_ID)?, vec![pair]);
    app.name = Some("development".to_owned());
    app.client_events = true;
    app.subscription_counting = true;
    app.watchlist = true;
    Ok(app)
}

/// Refuses what everybody knows where everybody can connect.
fn refuse_development_credentials(declared: &Declared, reader: &mut Reader<'_>) {
    let first = (declared.app.key.as_deref(), declared.app.secret.as_deref(), &declared.given);
    let others =
        declared.keys.iter().map(|(pair, given)| (Some(pair.key.as_str()), pair.secret.as_deref(), given));
    for (key, secret, given) in std::iter::once(first).chain(others) {
        let setting = match (key, secret) {
            (_, Some(development::SECRET)) => "secret",
            (Some(development::KEY), _) => "key",
            _ => continue,
        };
        reader.push(given.problem(
            setting,
            "everybody knows the development application's key and secret; listen on loopback addresses only, or use \
             your own",
        ));
    }
}

/// The application, unless something is wrong with its names; all that is wrong is reported.
fn build_app(declared: &Declared, reader: &mut Reader<'_>) -> Option<App> {
    let Declared { app: settings, given, .. } = declared;
    let id = AppId::new(&settings.id);
    if let Err(error) = &id {
        reader.push(given.problem("id", format!("an application needs an id: {error}")));
    }
    let keys = key_pairs(declared, reader);
    let webhooks = declared.webhooks.iter().filter_map(|(webhook, given)| endpoint(webhook, given, reader));
    let webhooks: Vec<WebhookEndpoint> = webhooks.collect();
    let mut origins = Vec::with_capacity(settings.allowed_origins.len());
    for origin in &settings.allowed_origins {
        match OriginPattern::new(origin) {
            Ok(origin) => origins.push(origin),
            Err(error) => reader.push(given.problem("allowed_origins", error.to_string())),
        }
    }
    let mut app = App::new(id.ok()?, keys?);
    app.name.clone_from(&settings.name);
    app.enabled = settings.enabled;
    app.client_events = settings.client_events;
    app.subscription_counting = settings.subscription_counting;
    app.tls_required = settings.tls_required;
    app.watchlist = settings.watchlist;
    app.authorized_connections = settings.authorized_connections;
    app.allowed_origins = origins;
    app.limits = limits(settings);
    app.webhooks = webhooks;
    Some(app)
}

fn limits(settings: &AppSettings) -> AppLimits {
    AppLimits {
        connections_max: settings.connections_max,
        event_bytes_max: settings.event_bytes_max,
        batch_max: settings.batch_max,
        channels_per_publish_max: settings.channels_per_publish_max,
        members_max: settings.members_max,
        member_bytes_max: settings.member_bytes_max,
        client_events_per_second: settings.client_events_per_second,
        channel_name_bytes_max: settings.channel_name_bytes_max,
        event_name_bytes_max: settings.event_name_bytes_max,
        channels_per_connection_max: settings.channels_per_connection_max,
        watchlist_max: settings.watchlist_max,
        cache_ttl: settings.cache_ttl,
        user_id_bytes_max: settings.user_id_bytes_max,
        member_id_bytes_max: settings.member_id_bytes_max,
    }
}

/// All pairs, or `None` if one of them is wrong.
fn key_pairs(declared: &Declared, reader: &mut Reader<'_>) -> Option<Vec<KeyPair>> {
    let Declared { app, given, keys, .. } = declared;
    let mut pairs = Vec::with_capacity(1 + keys.len());
    let has_own = app.key.is_some() || app.secret.is_some() || app.secret_file.is_some();
    if has_own || keys.is_empty() {
        let key = app.key.as_deref().unwrap_or_default();
        pairs.push(key_pair(key, app.secret.as_deref(), app.secret_file.as_deref(), given, reader));
    }
    for (pair, given) in keys {
        let built = key_pair(&pair.key, pair.secret.as_deref(), pair.secret_file.as_deref(), given, reader);
        pairs.push(built.map(|built| KeyPair { disabled: pair.disabled, ..built }));
    }
    pairs.into_iter().collect()
}

fn key_pair(
    key: &str,
    secret: Option<&str>,
    secret_file: Option<&Path>,
    given: &Given,
    reader: &mut Reader<'_>,
) -> Option<KeyPair> {
    let key = Key::new(key)
        .map_err(|error| reader.push(given.problem("key", format!("an application needs a key: {error}"))))
        .ok();
    let secret = match (secret, secret_file) {
        (Some(_), Some(_)) => {
            Err(("secret_file", "secret and secret_file are both set; leave one out".to_owned()))
        }
        (Some(secret), None) => Ok(secret.to_owned()),
        (None, Some(path)) => reader
            .read_secret(path)
            .map_err(|error| ("secret_file", format!("the file can't be read: {error}"))),
        (None, None) => Err(("secret", "a key needs its secret, or a secret_file that holds it".to_owned())),
    };
    let secret = secret.and_then(|secret| {
        Secret::new(&secret).map_err(|error| ("secret_file", format!("the secret can't be used: {error}")))
    });
    let secret = secret.map_err(|(setting, message)| reader.push(given.problem(setting, message))).ok();
    Some(KeyPair::new(key?, secret?))
}

fn endpoint(settings: &WebhookSettings, given: &Given, reader: &mut Reader<'_>) -> Option<WebhookEndpoint> {
    let mut events = Vec::with_capacity(settings.event_types.len());
    for name in &settings.event_types {
        match name.parse::<WebhookEvent>() {
            Ok(event) => events.push(event),
            Err(error) => reader.push(given.problem("event_types", error.to_string())),
        }
    }
    let problem = |error: WebhookError| match error {
        WebhookError::Credentials => Problem { value: None, ..given.problem("url", error.to_string()) },
        _ => given.problem("url", error.to_string()),
    };
    let mut endpoint =
        WebhookEndpoint::new(&settings.url).map_err(|error| reader.push(problem(error))).ok()?;
    endpoint.event_types = events;
    for (name, value) in &settings.headers {
        if let Err(error) = endpoint.add_header(name, value) {
            reader.push(given.problem("headers", error.to_string()));
        }
    }
    endpoint.channel_prefix.clone_from(&settings.channel_prefix);
    endpoint.channel_suffix.clone_from(&settings.channel_suffix);
    endpoint.batching = settings.batching;
    Some(endpoint)
}

// === impl Declared ===

impl Declared {
    /// Where a key of this application was given.
    fn key_given(&self, key: &str) -> &Given {
        // The later of two is the double.
        let listed = self.keys.iter().rev().find(|(pair, _)| pair.key == key);
        listed.map_or(&self.given, |(_, given)| given)
    }
}

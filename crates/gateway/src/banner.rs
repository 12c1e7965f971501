//! What a person sees who starts the server at a terminal.

use crate::config::{Config, development};

/// A few lines with everything that a first client needs.
pub fn banner(config: &Config) -> String {
    let Some(listen) = config.server.listen.first() else { return String::new() };
    let tls = config.server.tls_certificate.is_some();
    let (http, host, port) = (if tls { "https" } else { "http" }, listen.ip(), listen.port());
    let prefix = &config.server.path_prefix;
    let mut out =
        format!("\n  courant {} is listening on {http}://{listen}{prefix}\n", env!("CARGO_PKG_VERSION"));
    out.push_str(&format!("  health and metrics: http://{}/metrics\n", config.server.private_listen));
    if !config.is_development {
        out.push_str(&format!("  applications: {}\n", config.apps.iter().len()));
        return out;
    }
    let (id, key, secret) = (development::APP_ID, development::KEY, development::SECRET);
    let path = if prefix.is_empty() { String::new() } else { format!(" wsPath: '{prefix}',") };
    out.push_str(&format!(
        "  development application: id {id}, key {key}, secret {secret}\n\n  \
         In a page or in Node (npm install pusher-js):\n\n    \
         const pusher = new Pusher('{key}', {{\n      \
         cluster: '', forceTLS: {tls}, wsHost: '{host}', wsPort: {port}, wssPort: {port},{path}\n      \
         httpHost: '{host}', httpPort: {port}, httpsPort: {port}, enabledTransports: ['ws', 'xhr_streaming', 'xhr_polling'],\n    \
         }});\n    \
         pusher.subscribe('news').bind('hello', (data) => console.log(data));\n\n"
    ));
    out
}

//! What a person sees who starts the server at a terminal.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;

use crate::config::{Config, development};

/// Where the server really listens: where the configuration says port 0, the system has chosen one.
#[derive(Clone, Debug)]
pub struct Bound {
    /// Where clients connect.
    pub public: Vec<SocketAddr>,
    /// Where operators connect.
    pub private: SocketAddr,
}

impl Bound {
    /// The addresses of these listeners.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn of(public: &[TcpListener], private: &TcpListener) -> io::Result<Self> {
        let public = public.iter().map(TcpListener::local_addr).collect::<Result<_, _>>()?;
        Ok(Self { public, private: private.local_addr()? })
    }
}

/// A few lines with everything that a first client needs.
pub fn banner(config: &Config, bound: &Bound) -> String {
    let Some(listen) = bound.public.first() else { return String::new() };
    let tls = config.server.tls_certificate.is_some();
    let (http, host, port) = (if tls { "https" } else { "http" }, listen.ip(), listen.port());
    let prefix = &config.server.path_prefix;
    let mut out =
        format!("\n  courant {} is listening on {http}://{listen}{prefix}\n", env!("CARGO_PKG_VERSION"));
    out.push_str(&format!("  health and metrics: http://{}/metrics\n", bound.private));
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

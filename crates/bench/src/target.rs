//! The server under test: where it is, and the application used on it.

use std::net::{SocketAddr, ToSocketAddrs};

use anyhow::{Context, bail};

/// An application on a server.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// Where WebSockets connect to.
    pub(crate) websocket: Endpoint,
    /// Where events are published.
    pub(crate) http: Endpoint,
    /// The application's id, in the path of the HTTP API.
    pub(crate) app_id: String,
    /// The application's public key.
    pub(crate) key: String,
    /// The application's secret, which signs HTTP requests.
    pub(crate) secret: String,
}

/// One host, port and path prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// The address connected to.
    pub(crate) address: SocketAddr,
    /// For the `Host` header.
    pub(crate) host: String,
    /// Before every path, without a slash at its end.
    pub(crate) prefix: String,
}

impl Endpoint {
    /// Takes `ws://host:port/prefix` or `http://host:port/prefix` apart and resolves the host.
    ///
    /// # Errors
    /// If the scheme is another one (TLS is measured by nobody here), or the host has no address.
    pub(crate) fn parse(url: &str, scheme: &str, foreign_allowed: bool) -> anyhow::Result<Self> {
        let Some(rest) = url.strip_prefix(scheme).and_then(|rest| rest.strip_prefix("://")) else {
            bail!("{url:?} is not a URL of the form {scheme}://host:port");
        };
        let (host, prefix) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let with_port = if host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) {
            host.to_owned()
        } else {
            format!("{host}:80")
        };
        let address = with_port
            .to_socket_addrs()
            .with_context(|| format!("{host:?} in {url:?} has no address"))?
            .min_by_key(|address| !address.is_ipv4())
            .with_context(|| format!("{host:?} in {url:?} has no address"))?;
        if !address.ip().is_loopback() && !foreign_allowed {
            bail!(
                "{url} is {address}, not this machine; load goes elsewhere only with --i-own-this-target, \
                 for a server that is yours"
            );
        }
        Ok(Self { address, host: host.to_owned(), prefix: prefix.trim_end_matches('/').to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart() {
        let endpoint = Endpoint::parse("ws://127.0.0.1:6001/rt/", "ws", false).unwrap();
        assert_eq!(endpoint.address, "127.0.0.1:6001".parse().unwrap());
        assert_eq!((endpoint.host.as_str(), endpoint.prefix.as_str()), ("127.0.0.1:6001", "/rt"));
        assert_eq!(Endpoint::parse("http://127.0.0.1", "http", false).unwrap().address.port(), 80);
    }

    #[test]
    fn another_machine_is_refused_unless_it_is_owned() {
        let error = Endpoint::parse("ws://192.0.2.1:6001", "ws", false).unwrap_err();
        assert!(error.to_string().contains("--i-own-this-target"), "{error}");
        assert!(Endpoint::parse("ws://192.0.2.1:6001", "ws", true).is_ok());
    }

    #[test]
    fn other_schemes_are_refused() {
        for url in ["wss://127.0.0.1:1", "127.0.0.1:1", "ws:/127.0.0.1", ""] {
            assert!(Endpoint::parse(url, "ws", false).is_err(), "{url}");
        }
    }
}

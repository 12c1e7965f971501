//! Connections to receivers, to allowed addresses only.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, lookup_host};
use tokio::sync::Semaphore;
use tower::Service;

use crate::address::{AddressPolicy, Forbidden};

/// Name look-ups of one endpoint at one time. The system's resolver blocks a thread and can't be interrupted, so an
/// endpoint whose name server is dead would otherwise collect threads.
const LOOKUPS_MAX: usize = 2;

/// Connects to a URL's host.
///
/// The address that is checked is the one that is connected to, and it is checked again afterwards; a name that
/// resolves to another address the next time gains nothing.
#[derive(Clone, Debug)]
pub(crate) struct Connector {
    policy: Arc<AddressPolicy>,
    lookups: Arc<Semaphore>,
    /// How long the addresses of a name are tried, together.
    timeout: Duration,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    /// The URL names no host. The configuration does not allow such.
    #[error("the url names no host")]
    NoHost,
    /// The name can't be resolved.
    #[error("{host} can't be resolved: {error}")]
    Lookup { host: String, error: io::Error },
    /// All of its addresses are forbidden.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// None of its addresses answers.
    #[error("{address}: {error}")]
    Connect { address: SocketAddr, error: io::Error },
}

// === impl Connector ===

impl Connector {
    pub(crate) fn new(policy: Arc<AddressPolicy>, timeout: Duration) -> Self {
        Self { policy, lookups: Arc::new(Semaphore::new(LOOKUPS_MAX)), timeout }
    }

    async fn connect(self, url: Uri) -> Result<TokioIo<TcpStream>, ConnectError> {
        let host = url.host().filter(|host| !host.is_empty()).ok_or(ConnectError::NoHost)?;
        let port = url.port_u16().unwrap_or(if url.scheme_str() == Some("http") { 80 } else { 443 });
        let addresses = self.resolve(host, port).await?;
        let share = self.timeout / u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1);
        let mut failure = ConnectError::NoHost;
        for address in addresses {
            match tokio::time::timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return self.accept(stream, address),
                Ok(Err(error)) => failure = ConnectError::Connect { address, error },
                Err(_) => {
                    failure = ConnectError::Connect { address, error: io::ErrorKind::TimedOut.into() };
                }
            }
        }
        Err(failure)
    }

    /// The host's addresses that are allowed, at least one.
    async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, ConnectError> {
        let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        let addresses = match literal {
            Ok(address) => vec![SocketAddr::new(address, port)],
            Err(_) => self.look_up(host, port).await?,
        };
        let mut allowed = Vec::new();
        let mut forbidden = None;
        for address in addresses {
            match self.policy.check(address.ip()) {
                Ok(()) => allowed.push(address),
                Err(refusal) => forbidden = Some(refusal),
            }
        }
        match forbidden {
            Some(forbidden) if allowed.is_empty() => Err(forbidden.into()),
            _ if allowed.is_empty() => {
                let error = io::Error::new(io::ErrorKind::NotFound, "it has no address");
                Err(ConnectError::Lookup { host: host.to_owned(), error })
            }
            _ => Ok(allowed),
        }
    }

    async fn look_up(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, ConnectError> {
        let permit = Arc::clone(&self.lookups).acquire_owned().await;
        let target = (host.to_owned(), port);
        // A task of its own keeps the permit until the thread is free, even if nobody waits for it any more.
        let lookup = tokio::spawn(async move {
            let _permit = permit;
            lookup_host(target).await.map(Vec::from_iter)
        });
        let looked_up = lookup.await.unwrap_or_else(|error| Err(io::Error::other(error)));
        looked_up.map_err(|error| ConnectError::Lookup { host: host.to_owned(), error })
    }

    /// Checks where a connection really leads.
    fn accept(&self, stream: TcpStream, address: SocketAddr) -> Result<TokioIo<TcpStream>, ConnectError> {
        let connect_error = |error| ConnectError::Connect { address, error };
        let peer = stream.peer_addr().map_err(connect_error)?;
        self.policy.check(peer.ip())?;
        stream.set_nodelay(true).map_err(connect_error)?;
        Ok(TokioIo::new(stream))
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<TcpStream>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, url: Uri) -> Self::Future {
        Box::pin(self.clone().connect(url))
    }
}

//! From a TCP connection to HTTP: places, PROXY protocol, TLS, deadlines.
//!
//! Every phase has a deadline, and nothing a client holds back keeps more than its own small task waiting.

mod proxy;
mod watch;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use courant_auth::Networks;
use courant_telemetry::metrics::labels::{Limit, RejectReason};
use futures_util::FutureExt as _;
use hyper::body::Body as _;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;
use tracing::{debug, warn};

use crate::config::{Limits, ProxyProtocol, Server};
use crate::gateway::{Admission, Gateway};
use crate::stream::{Prefixed, Stream};
use watch::{Overdue, Times, Watch};

pub(crate) use watch::Watched;

/// Connections without a place that are answered at one time; each has a file descriptor for up to a second.
const TURNED_AWAY_MAX: usize = 128;

/// How long accepting rests after the system had no file descriptor for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What the connections of all public listeners share.
pub struct Acceptor {
    gateway: Arc<Gateway>,
    router: Router,
    tls: Option<TlsAcceptor>,
    http: http1::Builder,
    places: Arc<Semaphore>,
    /// For those who are told that there is no place.
    antechamber: Arc<Semaphore>,
    proxy_protocol: ProxyProtocol,
    proxy_protocol_from: Networks,
    times: Times,
    tls_timeout: Duration,
}

/// Why a connection ended before it spoke HTTP.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("the PROXY header is missing, malformed or not from a configured network")]
    ProxyHeader,
    #[error("the TLS handshake failed: {0}")]
    Tls(std::io::Error),
    #[error("the handshake took too long")]
    Timeout,
}

impl Acceptor {
    /// An acceptor for connections that are served by `router`, at most `connections_max` at a time.
    pub fn new(
        gateway: Arc<Gateway>,
        router: Router,
        tls: Option<TlsAcceptor>,
        connections_max: usize,
        server: &Server,
        limits: &Limits,
    ) -> Arc<Self> {
        let mut http = http1::Builder::new();
        // The watch has the deadlines.
        http.header_read_timeout(None)
            .max_headers(limits.request_headers_max)
            .max_buf_size(limits.request_head_bytes_max.max(8192))
            .half_close(false);
        Arc::new(Self {
            gateway,
            router,
            tls,
            http,
            antechamber: Arc::new(Semaphore::new(TURNED_AWAY_MAX)),
            places: Arc::new(Semaphore::new(connections_max.min(Semaphore::MAX_PERMITS))),
            proxy_protocol: server.proxy_protocol,
            proxy_protocol_from: Networks::new(server.proxy_protocol_from.clone()),
            times: Times {
                head: limits.request_head_timeout,
                keep_alive: limits.keep_alive_timeout,
                linger: limits.close_timeout,
            },
            tls_timeout: limits.tls_handshake_timeout,
        })
    }

    /// Accepts connections until `stop`.
    pub async fn run(self: Arc<Self>, listener: TcpListener, stop: CancellationToken) {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = stop.cancelled() => return,
            };
            match accepted {
                Ok((tcp, peer)) => self.clone().accept(tcp, peer, &stop),
                Err(error) => {
                    // A connection that was reset before it was accepted is nobody's problem; no file descriptor is ours.
                    debug!(%error, "can't accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn accept(self: Arc<Self>, tcp: TcpStream, peer: SocketAddr, stop: &CancellationToken) {
        let Ok(place) = self.places.clone().try_acquire_owned() else {
            self.reject(RejectReason::Connections, Some(Limit::Connections));
            self.turn_away(tcp, "503 Service Unavailable");
            return;
        };
        let stop = stop.clone();
        let tasks = self.gateway.tasks.clone();
        tasks.spawn(async move {
            if let Err(refused) = self.serve(tcp, peer, place, stop).await {
                debug!(%peer, %refused, "connection refused");
                let (reason, limit) = match refused {
                    Refused::ProxyHeader => (RejectReason::ProxyHeader, None),
                    Refused::Tls(_) => (RejectReason::Tls, None),
                    Refused::Timeout => (RejectReason::HandshakeTimeout, Some(Limit::HandshakeTime)),
                };
                self.reject(reason, limit);
            }
        });
    }

    async fn serve(
        &self,
        tcp: TcpStream,
        peer: SocketAddr,
        place: OwnedSemaphorePermit,
        stop: CancellationToken,
    ) -> Result<(), Refused> {
        let accepted = Instant::now();
        // Messages are small and must go at once; what can be sent together is put together before it is written.
        let _ = tcp.set_nodelay(true);
        let (tcp, peer) = self.proxied(tcp, peer.ip()).await?;
        let admission = match self.gateway.admit(peer, self.tls.is_some(), place) {
            Ok(admission) => Arc::new(admission),
            Err(refused) => {
                debug!(%peer, %refused, "connection refused");
                if self.tls.is_none() {
                    self.turn_away(tcp.into_tcp(), "429 Too Many Requests");
                }
                return Ok(());
            }
        };
        let stream = match &self.tls {
            None => Stream::Plain(tcp),
            Some(tls) => match timeout(self.tls_timeout, tls.accept(tcp)).await {
                Ok(Ok(stream)) => Stream::Tls(Box::new(stream)),
                Ok(Err(error)) => return Err(Refused::Tls(error)),
                Err(_) => return Err(Refused::Timeout),
            },
        };
        let watch = Watch::new(self.times, accepted + self.times.head + self.tls_allowance());
        self.speak_http(stream, admission, watch, stop).await;
        Ok(())
    }

    /// Serves requests until the connection ends or is upgraded.
    async fn speak_http(
        &self,
        stream: Stream,
        admission: Arc<Admission>,
        watch: Arc<Watch>,
        stop: CancellationToken,
    ) {
        let (router, watching) = (self.router.clone(), watch.clone());
        let service = tower::service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
            watching.answering();
            request.extensions_mut().insert(admission.clone());
            let has_body = !request.body().is_end_stream();
            let (answering, watching) = (router.clone().oneshot(request), watching.clone());
            async move { answering.await.map(|response| watching.answer(response, has_body)) }
        });
        let io = TokioIo::new(Watched::new(stream, watch.clone()));
        let connection = self.http.serve_connection(io, TowerToHyperService::new(service)).with_upgrades();
        let mut connection = std::pin::pin!(connection);
        let mut overdue = std::pin::pin!(watch.overdue());
        let mut stopped = std::pin::pin!(stop.cancelled().fuse());
        loop {
            tokio::select! {
                // What is complete at the deadline counts, and the watch looks after the connection has moved.
                biased;
                served = connection.as_mut() => {
                    if let Err(error) = served {
                        self.count_http_error(&error);
                    }
                    return;
                }
                overdue = overdue.as_mut() => return self.count_overdue(overdue),
                () = stopped.as_mut() => connection.as_mut().graceful_shutdown(),
            }
        }
    }

    /// Takes a PROXY header off the stream, where one is expected.
    async fn proxied(&self, tcp: TcpStream, peer: IpAddr) -> Result<(Prefixed, IpAddr), Refused> {
        let required = match self.proxy_protocol {
            ProxyProtocol::Off => return Ok((Prefixed::new(bytes::Bytes::new(), tcp), peer)),
            ProxyProtocol::Optional => false,
            ProxyProtocol::Required => true,
        };
        let trusted = self.proxy_protocol_from.contains(peer);
        if !trusted && required {
            return Err(Refused::ProxyHeader);
        }
        let header = proxy::read(tcp);
        match timeout_at(Instant::now() + self.times.head, header).await {
            Ok(Ok(proxy::Read { tcp, prefix, source })) => match source {
                // A header from anybody else could claim any address.
                proxy::Source::Address(_) | proxy::Source::Local if !trusted => Err(Refused::ProxyHeader),
                proxy::Source::Address(address) => Ok((Prefixed::new(prefix, tcp), address)),
                proxy::Source::Local => Ok((Prefixed::new(prefix, tcp), peer)),
                proxy::Source::NoHeader if required => Err(Refused::ProxyHeader),
                proxy::Source::NoHeader => Ok((Prefixed::new(prefix, tcp), peer)),
            },
            Ok(Err(_)) => Err(Refused::ProxyHeader),
            Err(_) => Err(Refused::Timeout),
        }
    }

    fn tls_allowance(&self) -> Duration {
        if self.tls.is_some() { self.tls_timeout } else { Duration::ZERO }
    }

    fn reject(&self, reason: RejectReason, limit: Option<Limit>) {
        self.gateway.metrics.connections_rejected.of(reason).inc();
        if let Some(limit) = limit {
            self.gateway.metrics.limit_hits.of(limit).inc();
        }
    }

    fn count_overdue(&self, overdue: Overdue) {
        match overdue {
            Overdue::FirstHead => self.reject(RejectReason::HandshakeTimeout, Some(Limit::HeadTime)),
            Overdue::Head => self.gateway.metrics.limit_hits.of(Limit::HeadTime).inc(),
            Overdue::Answer => self.gateway.metrics.limit_hits.of(Limit::AnswerTime).inc(),
            Overdue::Idle | Overdue::Linger => {}
        }
        debug!(?overdue, "an HTTP connection took too long");
    }

    fn count_http_error(&self, error: &hyper::Error) {
        if error.is_parse() || error.is_parse_too_large() {
            self.reject(RejectReason::BadRequest, None);
        }
        debug!(%error, "an HTTP connection ended");
    }

    /// Answers without reading, so that a client learns why; never waits for it. In a flood most are just dropped.
    fn turn_away(&self, mut tcp: TcpStream, status: &'static str) {
        let Ok(seat) = self.antechamber.clone().try_acquire_owned() else { return };
        if self.tls.is_some() {
            return;
        }
        self.gateway.tasks.spawn(async move {
            let _seat = seat;
            let answer = format!(
                "HTTP/1.1 {status}\r\nretry-after: 5\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            );
            let told = async {
                tcp.write_all(answer.as_bytes()).await?;
                tcp.shutdown().await?;
                // A reset while the request is unread would destroy the answer on its way.
                let mut rest = [0; 1024];
                while tokio::io::AsyncReadExt::read(&mut tcp, &mut rest).await? > 0 {}
                std::io::Result::Ok(())
            };
            let _ = timeout(Duration::from_secs(1), told).await;
        });
    }
}

/// Reads a certificate chain and its key.
///
/// # Errors
/// Says which file can't be used, and why.
pub fn tls_acceptor(server: &Server) -> anyhow::Result<Option<TlsAcceptor>> {
    use anyhow::Context as _;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
    let (Some(certificate), Some(key)) = (&server.tls_certificate, &server.tls_key) else { return Ok(None) };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(|chain| chain.collect::<Result<Vec<_>, _>>())
        .with_context(|| format!("can't read the certificate chain {}", certificate.display()))?;
    anyhow::ensure!(!chain.is_empty(), "{} holds no certificate in PEM", certificate.display());
    let private =
        PrivateKeyDer::from_pem_file(key).with_context(|| format!("can't read the key {}", key.display()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .with_context(|| format!("{} and {} don't fit", certificate.display(), key.display()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Some(TlsAcceptor::from(Arc::new(config))))
}

/// Binds an address.
///
/// # Errors
/// Says which address, and what to do.
pub fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    use anyhow::Context as _;
    use socket2::{Domain, Protocol, Socket, Type};
    let listen = || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        // What arrives at once after a deploy; the kernel cuts it to net.core.somaxconn.
        socket.listen(4096)?;
        TcpListener::from_std(socket.into())
    };
    let listener = listen();
    if let Err(error) = &listener
        && error.kind() == std::io::ErrorKind::AddrInUse
    {
        warn!(%address, "another process listens there; choose another address, or stop that process");
    }
    listener.with_context(|| format!("can't listen on {address}"))
}

//! Requests to receivers.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{DefaultServerNameResolver, HttpsConnector};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::address::{AddressPolicy, Forbidden};
use crate::connector::{ConnectError, Connector};
use crate::{Error, Failure, Settings};

/// How long an unused connection is kept. Shorter than what common servers keep, so that they rarely close first.
const IDLE_MAX: Duration = Duration::from_secs(20);
/// What a receiver may send as head, and as body. The body is ignored, but reading a short one lets the connection be used again.
const RESPONSE_HEAD_BYTES_MAX: usize = 32 << 10;
const RESPONSE_BODY_BYTES_MAX: usize = 16 << 10;
/// How long to read it.
const RESPONSE_BODY_TIMEOUT: Duration = Duration::from_secs(1);

/// Makes senders that share what can be shared.
pub(crate) struct Senders {
    policy: Arc<AddressPolicy>,
    tls: Arc<ClientConfig>,
    timeout: Duration,
    connections_max: usize,
}

/// Sends to one endpoint, over connections of its own.
pub(crate) struct Sender {
    client: Client<HttpsConnector<Connector>, Full<Bytes>>,
    timeout: Duration,
}

// === impl Senders ===

impl Senders {
    /// # Errors
    /// The file of authorities can't be used, or TLS can't be set up.
    pub(crate) fn new(settings: &Settings) -> Result<Self, Error> {
        Ok(Self {
            policy: Arc::new(AddressPolicy::new(settings.allow_networks.clone())),
            tls: Arc::new(tls(settings)?),
            timeout: settings.request_timeout,
            connections_max: settings.concurrency_per_endpoint,
        })
    }

    pub(crate) fn sender(&self) -> Sender {
        let connector = Connector::new(Arc::clone(&self.policy), self.timeout);
        let names = Arc::new(DefaultServerNameResolver::default());
        let connector = HttpsConnector::new(connector, Arc::clone(&self.tls), false, names);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_MAX)
            .pool_max_idle_per_host(self.connections_max)
            .http1_max_buf_size(RESPONSE_HEAD_BYTES_MAX)
            .build(connector);
        Sender { client, timeout: self.timeout }
    }
}

// === impl Sender ===

impl Sender {
    /// Sends a request. Only a 2xx within the time is a success; redirects are not followed.
    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Result<(), Failure> {
        let response = match tokio::time::timeout(self.timeout, self.client.request(request)).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(failure(&error)),
            Err(_) => return Err(Failure::Timeout),
        };
        let status = response.status();
        let is_short = response
            .headers()
            .get(header::CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok()?.parse().ok())
            .is_none_or(|length: usize| length <= RESPONSE_BODY_BYTES_MAX);
        if is_short {
            let body = Limited::new(response.into_body(), RESPONSE_BODY_BYTES_MAX);
            // Whatever comes of it, the status stands.
            let _ = tokio::time::timeout(RESPONSE_BODY_TIMEOUT.min(self.timeout), body.collect()).await;
        }
        if status.is_success() { Ok(()) } else { Err(Failure::Status(status.as_u16())) }
    }
}

/// What went wrong, by its root cause.
fn failure(error: &hyper_util::client::legacy::Error) -> Failure {
    let mut cause: &(dyn std::error::Error + 'static) = error;
    loop {
        if let Some(refusal) = forbidden(cause) {
            return Failure::Forbidden(refusal.to_string());
        }
        match cause.source() {
            Some(source) => cause = source,
            None => return Failure::Connect(cause.to_string()),
        }
    }
}

fn forbidden<'a>(cause: &'a (dyn std::error::Error + 'static)) -> Option<&'a Forbidden> {
    match cause.downcast_ref::<ConnectError>()? {
        ConnectError::Forbidden(refusal) => Some(refusal),
        _ => None,
    }
}

fn tls(settings: &Settings) -> Result<ClientConfig, Error> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(path) = &settings.extra_ca_file {
        let error = |what: String| Error::Authorities { path: path.clone(), what };
        let certificates =
            CertificateDer::pem_file_iter(path).map_err(|problem| error(problem.to_string()))?;
        let known = roots.len();
        for certificate in certificates {
            let certificate = certificate.map_err(|problem| error(problem.to_string()))?;
            roots.add(certificate).map_err(|problem| error(problem.to_string()))?;
        }
        if roots.len() == known {
            return Err(error("it holds no certificate".to_owned()));
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

//! The HTTP client that carries batches of spans to the collector.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use tokio::runtime::{Builder, Runtime};
use tracing::{info, warn};

#[cfg(test)]
mod tests;

/// An answer is some bytes, or an error page; more is not read.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// How often the log says again that the collector is away.
const REMIND_EVERY: Duration = Duration::from_secs(600);

/// Sends one request at a time, on the SDK's exporting thread.
///
/// It has a runtime of its own, which runs only while that thread waits for an answer. So a hung collector takes no
/// time of the server's workers, and the last batch can be sent after the server's runtime has stopped.
#[derive(Debug)]
pub(super) struct ExportClient {
    /// Gone only while it is dropped.
    runtime: Option<Runtime>,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    timeout: Duration,
    outage: Mutex<Option<Outage>>,
}

/// Since when the collector has not taken anything.
#[derive(Debug)]
struct Outage {
    since: Instant,
    logged: Instant,
}

// === impl ExportClient ===

impl ExportClient {
    /// `timeout` is for one request, with its connection and its answer.
    pub(super) fn new(timeout: Duration) -> std::io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let connector =
            HttpsConnectorBuilder::new().with_webpki_roots().https_or_http().enable_http1().build();
        // No connection is kept: nobody would poll it between two batches, and notice that it was closed.
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
        Ok(Self { runtime: Some(runtime), client, timeout, outage: Mutex::new(None) })
    }

    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let exchange = async {
            let response = self.client.request(request.map(Full::new)).await?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await?.to_bytes();
            Ok(Response::from_parts(head, body))
        };
        match tokio::time::timeout(self.timeout, exchange).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("no answer within {:?}", self.timeout).into()),
        }
    }

    /// Logs the first failure and the first success after it, and little in between: a collector may be away for
    /// days, and each batch is tried several times.
    fn tell(&self, host: &str, result: &Result<Response<Bytes>, HttpError>) {
        let failure = match result {
            Ok(response) if response.status().is_success() => None,
            Ok(response) => Some(format!("it answered {}", response.status())),
            Err(error) => Some(chain(error.as_ref())),
        };
        let Ok(mut outage) = self.outage.lock() else { return };
        let now = Instant::now();
        match (failure, outage.as_mut()) {
            (None, None) => {}
            (None, Some(Outage { since, .. })) => {
                info!(collector = host, away = ?now.duration_since(*since), "traces are exported again");
                *outage = None;
            }
            (Some(error), None) => {
                warn!(collector = host, error, "traces can't be exported and are dropped");
                *outage = Some(Outage { since: now, logged: now });
            }
            (Some(error), Some(Outage { logged, .. })) if now.duration_since(*logged) >= REMIND_EVERY => {
                warn!(collector = host, error, "traces still can't be exported and are dropped");
                *logged = now;
            }
            (Some(_), Some(_)) => {}
        }
    }
}

#[async_trait]
impl HttpClient for ExportClient {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let host = request.uri().authority().map(ToString::to_string).unwrap_or_default();
        // Blocking is right here: this is polled on the exporting thread, which has nothing else to do.
        let result = match &self.runtime {
            Some(runtime) => runtime.block_on(self.send(request)),
            None => Err("the exporter is shut down".into()),
        };
        self.tell(&host, &result);
        result
    }
}

impl Drop for ExportClient {
    /// A name look-up that hangs can't be cancelled; it is left behind rather than waited for.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// An error with its causes: hyper's own text names none.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

//! A collector in this process, which keeps what it was sent.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use prost::Message;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{Receiver, Sender, channel};

pub(crate) struct Collector {
    pub(crate) endpoint: String,
    requests: Receiver<ExportTraceServiceRequest>,
}

impl Collector {
    pub(crate) async fn start() -> Self {
        let (listener, endpoint) = silent().await;
        let (sender, requests) = channel(16);
        tokio::spawn(serve(listener, sender));
        Self { endpoint, requests }
    }

    pub(crate) async fn request(&mut self) -> ExportTraceServiceRequest {
        tokio::time::timeout(Duration::from_secs(30), self.requests.recv()).await.unwrap().unwrap()
    }

    /// Whether nothing came, to be asked after a flush.
    pub(crate) fn nothing_more(&mut self) -> bool {
        self.requests.try_recv().is_err()
    }
}

async fn serve(listener: TcpListener, requests: Sender<ExportTraceServiceRequest>) {
    while let Ok((stream, _)) = listener.accept().await {
        let requests = requests.clone();
        let service = service_fn(move |request| answer(request, requests.clone()));
        tokio::spawn(
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
        );
    }
}

async fn answer(
    request: Request<Incoming>,
    requests: Sender<ExportTraceServiceRequest>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    assert_eq!(request.uri().path(), "/v1/traces");
    assert_eq!(request.headers()["content-type"], "application/x-protobuf");
    let body = request.into_body().collect().await.unwrap().to_bytes();
    requests.send(ExportTraceServiceRequest::decode(body).unwrap()).await.unwrap();
    Ok(Response::new(Full::default()))
}

/// An address where connections are taken and nothing is ever answered, for as long as the listener is held.
pub(crate) async fn silent() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    (listener, endpoint)
}

/// An address where nobody listens.
pub(crate) async fn refusing() -> String {
    silent().await.1
}

pub(crate) fn attribute(attributes: &[KeyValue], key: &str) -> String {
    let found = attributes.iter().find(|attribute| attribute.key == key);
    match found.and_then(|attribute| attribute.value.as_ref()?.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        other => panic!("{key} is {other:?}"),
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

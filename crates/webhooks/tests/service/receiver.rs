//! A webhook receiver that answers as it is told.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// Longer than any machine takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a receiver answers.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Status(u16),
    Redirect(String),
    /// Accepts the request and never answers.
    Hang,
    /// 200, and a body without an end.
    Endless,
}

/// A request that was received.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Bytes,
}

pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    answer: Arc<Mutex<Answer>>,
    received: watch::Sender<Vec<Received>>,
    _server: JoinSet<()>,
}

impl Receiver {
    pub(crate) async fn start(answer: Answer) -> Self {
        Self::start_on("127.0.0.1:0".parse().unwrap(), answer, None).await
    }

    pub(crate) async fn start_on(address: SocketAddr, answer: Answer, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let answer = Arc::new(Mutex::new(answer));
        let received = watch::Sender::new(Vec::new());
        let mut server = JoinSet::new();
        let (answers, log) = (answer.clone(), received.clone());
        server.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (answers, log, tls) = (answers.clone(), log.clone(), tls.clone());
                connections.spawn(async move {
                    match tls {
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => serve(stream, answers, log).await,
                            Err(error) => eprintln!("tls: {error}"),
                        },
                        None => serve(stream, answers, log).await,
                    }
                });
            }
        });
        Self { address, answer, received, _server: server }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    pub(crate) fn answer(&self, answer: Answer) {
        *self.answer.lock() = answer;
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.borrow().clone()
    }

    /// What was received, once it is so many requests.
    pub(crate) async fn wait_for(&self, requests: usize) -> Vec<Received> {
        let mut changes = self.received.subscribe();
        let is_enough = changes.wait_for(|received| received.len() >= requests);
        match tokio::time::timeout(PATIENCE, is_enough).await {
            Ok(received) => received.unwrap().clone(),
            Err(_) => panic!("{requests} requests expected, {:?} received", self.received()),
        }
    }

    /// All events that were received, as `name channel`.
    pub(crate) fn events(&self) -> Vec<String> {
        self.received().iter().flat_map(Received::events).collect()
    }
}

impl Received {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn events(&self) -> Vec<String> {
        let text = |event: &serde_json::Value, field: &str| event[field].as_str().unwrap().to_owned();
        let json = self.json();
        let events = json["events"].as_array().unwrap();
        events.iter().map(|event| format!("{} {}", text(event, "name"), text(event, "channel"))).collect()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    pub(crate) fn webhook_id(&self) -> &str {
        self.header("x-courant-webhook-id")
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    answers: Arc<Mutex<Answer>>,
    log: watch::Sender<Vec<Received>>,
) {
    let service = service_fn(move |request: Request<Incoming>| {
        let (answers, log) = (answers.clone(), log.clone());
        async move {
            let (head, body) = request.into_parts();
            // The sender may be killed in the middle.
            if let Ok(body) = body.collect().await {
                let received = Received { headers: head.headers, body: body.to_bytes() };
                log.send_modify(|all| all.push(received));
            }
            let answer = answers.lock().clone();
            Ok::<_, Infallible>(respond(answer).await)
        }
    });
    // Connections break when senders are dropped; that is no failure of a test.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn respond(answer: Answer) -> Response<BoxBody<Bytes, Infallible>> {
    match answer {
        Answer::Status(status) => Response::builder().status(status).body(Empty::new().boxed()).unwrap(),
        Answer::Redirect(to) => {
            Response::builder().status(307).header("location", to).body(Empty::new().boxed()).unwrap()
        }
        Answer::Hang => std::future::pending().await,
        Answer::Endless => {
            let frame = || Ok(Frame::data(Bytes::from_static(&[b'x'; 1024])));
            let frames = futures_util::stream::unfold((), move |()| async move {
                tokio::time::sleep(Duration::from_millis(1)).await;
                Some((frame(), ()))
            });
            Response::new(StreamBody::new(frames).boxed())
        }
    }
}

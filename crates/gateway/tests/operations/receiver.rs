//! A server that takes what it is posted: webhooks, or traces.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use courant_auth::signature;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::support::App;

/// How it answers.
#[derive(Clone, Copy, Debug)]
pub enum Answer {
    Status(u16),
    /// Takes the request, and never answers.
    Nothing,
}

/// A request that it took.
#[derive(Clone, Debug)]
pub struct Posted {
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// The status that it was answered with.
    pub status: Option<u16>,
}

pub struct Receiver {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

struct Shared {
    answer: Mutex<Answer>,
    posted: watch::Sender<Vec<Posted>>,
}

impl Receiver {
    pub async fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared { answer: Mutex::new(answer), posted: watch::Sender::default() });
        let router = Router::new().fallback(take).with_state(shared.clone());
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, shared, serving }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// From now on it answers so.
    pub fn answers(&self, answer: Answer) {
        *self.shared.answer.lock().unwrap() = answer;
    }

    /// All requests so far.
    pub fn posted(&self) -> Vec<Posted> {
        self.shared.posted.borrow().clone()
    }

    /// All events of webhooks so far that it accepted.
    pub fn events(&self) -> Vec<Value> {
        self.posted().iter().filter(|posted| posted.status == Some(200)).flat_map(Posted::events).collect()
    }

    /// Waits until the requests so far are what is asked for; answers them.
    pub async fn until(&self, what: &str, enough: impl Fn(&[Posted]) -> bool) -> Vec<Posted> {
        let mut posted = self.shared.posted.subscribe();
        let waited = posted.wait_for(|posted| enough(posted));
        match tokio::time::timeout(crate::support::PATIENCE, waited).await {
            Ok(posted) => posted.unwrap().clone(),
            Err(_) => panic!("{what}: {:#?}", self.posted()),
        }
    }

    /// Waits until so many events of webhooks were accepted; answers all that were.
    pub async fn accepted(&self, count: usize) -> Vec<Value> {
        let accepted = |posted: &[Posted]| -> usize {
            posted
                .iter()
                .filter(|posted| posted.status == Some(200))
                .map(|posted| posted.events().len())
                .sum()
        };
        self.until(&format!("{count} events"), |posted| accepted(posted) >= count).await;
        self.events()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn take(State(shared): State<Arc<Shared>>, uri: Uri, headers: HeaderMap, body: Bytes) -> StatusCode {
    let answer = *shared.answer.lock().unwrap();
    let status = match answer {
        Answer::Status(status) => Some(status),
        Answer::Nothing => None,
    };
    let path = uri.path().to_owned();
    shared.posted.send_modify(|posted| posted.push(Posted { path, headers, body, status }));
    match status {
        Some(status) => StatusCode::from_u16(status).unwrap(),
        None => std::future::pending().await,
    }
}

impl Posted {
    /// The body, which must be JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }

    /// The events of a webhook.
    pub fn events(&self) -> Vec<Value> {
        self.json()["events"].as_array().expect("events").clone()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name} in {:?}", self.headers)).to_str().unwrap()
    }

    /// Checks what every webhook has.
    pub fn is_signed_by(&self, app: &App) {
        assert_eq!(self.header("content-type"), "application/json");
        assert_eq!(self.header("x-pusher-key"), app.key);
        assert_eq!(self.header("x-pusher-signature"), signature::webhook(&app.signer(), &self.body));
        assert!(self.json()["time_ms"].as_u64().unwrap() > 1_700_000_000_000);
    }
}

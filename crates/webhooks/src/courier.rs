//! Carries an endpoint's webhooks to it: one task for each.

use std::sync::Arc;

use courant_auth::App;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::Failure;
use crate::dispatcher::{Attempt, Dispatcher, Step};
use crate::quiet::Quiet;
use crate::record::DeliveryId;
use crate::registry::Endpoint;
use crate::request::request;
use crate::sender::Sender;

/// What carries webhooks to one endpoint.
pub(crate) struct Courier {
    pub(crate) dispatcher: Arc<Mutex<Dispatcher>>,
    pub(crate) app: Arc<App>,
    pub(crate) endpoint: Endpoint,
    pub(crate) sender: Sender,
    /// Of failures. A receiver that is down fails all the time, but whoever runs the server must see why.
    pub(crate) quiet: Mutex<Quiet>,
}

// === impl Courier ===

impl Courier {
    /// Sends until stopped. Then nothing is begun any more, and what is under way is waited for.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let Some(wake) = self.dispatcher.lock().lane_waker(self.endpoint.number) else { return };
        let mut attempts = FuturesUnordered::new();
        while !stop.is_cancelled() {
            let step = self.dispatcher.lock().next(self.endpoint.number, Instant::now());
            let due = match step {
                Step::Attempt(attempt) => {
                    attempts.push(self.attempt(attempt));
                    continue;
                }
                Step::WaitUntil(at) => Some(at),
                Step::Wait => None,
            };
            tokio::select! {
                Some((id, outcome)) = attempts.next() => self.settle(id, outcome),
                () = sleep_until(due) => {}
                () = wake.notified() => {}
                () = stop.cancelled() => {}
            }
        }
        while let Some((id, outcome)) = attempts.next().await {
            self.settle(id, outcome);
        }
    }

    async fn attempt(&self, attempt: Attempt) -> (DeliveryId, Result<(), Failure>) {
        let outcome = match self.app.webhook_key_pair() {
            Some(pair) => match request(&attempt, &self.endpoint.config, pair) {
                Ok(request) => self.sender.send(request).await,
                Err(error) => Err(Failure::Connect(error.to_string())),
            },
            None => Err(Failure::Connect("the application has no active key to sign with".to_owned())),
        };
        if let Err(failure) = &outcome {
            let (app, webhook_id) = (&self.app.id, &attempt.webhook_id);
            match self.quiet.lock().may_log(Instant::now()) {
                Some(suppressed) => {
                    tracing::warn!(%app, webhook_id, %failure, suppressed, "an attempt to send a webhook failed");
                }
                None => tracing::debug!(%app, webhook_id, %failure, "an attempt to send a webhook failed"),
            }
        }
        (attempt.id, outcome)
    }

    fn settle(&self, id: DeliveryId, outcome: Result<(), Failure>) {
        let chance = rand::random::<f64>();
        self.dispatcher.lock().settle(self.endpoint.number, id, outcome, Instant::now(), chance);
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

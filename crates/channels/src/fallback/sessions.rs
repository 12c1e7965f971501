//! All sessions of this gateway, and the task of each.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use courant_auth::limits::AddressGuard;
use courant_telemetry::metrics::labels::Transport;
use courant_wire::{Closed, Handler, Sink, Step};
use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::Parameters;
use super::session::{ABSENCE_MAX, Session};
use crate::connection::Hello;
use crate::http::ClientInfo;
use crate::service::Channels;

/// How often a session's task looks whether its client is still there.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);

/// How a client names its session: pusher-js makes up the last two.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct SessionKey {
    pub(super) key: String,
    pub(super) server: String,
    pub(super) id: String,
}

/// The sessions that are open.
pub(crate) struct Sessions {
    sessions: Mutex<HashMap<SessionKey, Arc<Session>>>,
    sessions_max: usize,
}

impl Sessions {
    pub(crate) fn new(sessions_max: usize) -> Self {
        Self { sessions: Mutex::default(), sessions_max }
    }

    pub(super) fn get(&self, key: &SessionKey) -> Option<Arc<Session>> {
        let session = self.sessions.lock().get(key).cloned();
        // One whose close was told is only waiting to be cleared away.
        session.filter(|session| !session.is_closed())
    }

    /// Enters a session, unless there are too many or two requests opened it at once.
    fn insert(&self, key: &SessionKey, session: &Arc<Session>) -> Option<Arc<Session>> {
        let mut sessions = self.sessions.lock();
        if let Some(existing) = sessions.get(key).filter(|session| !session.is_closed()) {
            return Some(existing.clone());
        }
        if sessions.len() >= self.sessions_max {
            return None;
        }
        sessions.insert(key.clone(), session.clone());
        Some(session.clone())
    }

    fn remove(&self, key: &SessionKey, session: &Arc<Session>) {
        let mut sessions = self.sessions.lock();
        if sessions.get(key).is_some_and(|entered| Arc::ptr_eq(entered, session)) {
            sessions.remove(key);
        }
    }
}

/// A client that may connect, kept for the task of its session.
pub(super) struct Opening {
    pub(super) parameters: Parameters,
    pub(super) origin: Option<String>,
    pub(super) client: ClientInfo,
    pub(super) transport: Transport,
}

impl Opening {
    /// What the client says of itself.
    pub(super) fn hello<'a>(&'a self, key: &'a SessionKey) -> Hello<'a> {
        Hello {
            key: &key.key,
            protocol: self.parameters.protocol.as_deref(),
            version: self.parameters.version.as_deref(),
            origin: self.origin.as_deref(),
            address: self.client.address,
            transport: self.transport,
            tls: self.client.tls,
        }
    }
}

/// Opens a session; `None` where there are too many. Its connection is opened by its own task, which goes on when the
/// request breaks off.
pub(super) fn open(
    channels: &Arc<Channels>,
    key: &SessionKey,
    opening: Opening,
    guard: AddressGuard,
) -> Option<Arc<Session>> {
    let settings = &channels.settings;
    let metrics = channels.metrics.clone();
    let (session, messages) =
        Session::new(settings.queue_bytes_max, settings.message_bytes_max, metrics, guard);
    let session = Arc::new(session);
    let entered = channels.fallback.insert(key, &session)?;
    if Arc::ptr_eq(&entered, &session) {
        tokio::spawn(run(channels.clone(), key.clone(), session, opening, messages));
    }
    Some(entered)
}

/// Opens the connection and feeds it with what the client sends, until the client or the connection is gone.
async fn run(
    channels: Arc<Channels>,
    key: SessionKey,
    session: Arc<Session>,
    opening: Opening,
    mut messages: mpsc::Receiver<String>,
) {
    // One that is refused meanwhile (the quota of the application) is told so in its session.
    let mut connection = channels.open(&opening.hello(&key), session.clone()).await.ok();
    let mut look = tokio::time::interval(LOOK_INTERVAL);
    let dropped = loop {
        tokio::select! {
            message = messages.recv(), if session.closing().is_none() => {
                if let (Some(message), Some(connection)) = (message, connection.as_mut())
                    && let Step::Pending(step) = connection.text(&message)
                {
                    step.await;
                }
            }
            () = session.ended.notified() => {
                // The leaves need not wait until the client has fetched the close.
                if let (Some(code), Some(connection)) = (session.closing(), connection.take()) {
                    connection.close(Closed::ByServer(code)).await;
                }
                if session.is_closed() {
                    break false;
                }
            }
            _ = look.tick() => {
                if session.absent_for().is_some_and(|absence| absence > ABSENCE_MAX) {
                    break true;
                }
            }
        }
    };
    channels.fallback.remove(&key, &session);
    if dropped {
        session.close(1006, "the client is gone");
    }
    if let Some(connection) = connection {
        connection.close(Closed::Dropped).await;
    }
}

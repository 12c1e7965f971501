//! All sessions of this gateway, and the task of each.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use courant_wire::{Closed, Handler, Sink, Step};
use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::session::{ABSENCE_MAX, Session};
use crate::connection::{Connection, Hello};
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
        self.sessions.lock().get(key).cloned()
    }

    /// Enters a session, unless there are too many or two requests opened it at once.
    fn insert(&self, key: &SessionKey, session: &Arc<Session>) -> Option<Arc<Session>> {
        let mut sessions = self.sessions.lock();
        if let Some(existing) = sessions.get(key) {
            return Some(existing.clone());
        }
        if sessions.len() >= self.sessions_max {
            return None;
        }
        sessions.insert(key.clone(), session.clone());
        Some(session.clone())
    }

    fn remove(&self, key: &SessionKey) {
        self.sessions.lock().remove(key);
    }
}

/// Opens a session and its connection; `None` where there are too many.
///
/// A client that may not connect gets a session all the same, to be told so in.
pub(super) async fn open(
    channels: &Arc<Channels>,
    key: &SessionKey,
    hello: &Hello<'_>,
) -> Option<Arc<Session>> {
    let settings = &channels.settings;
    let metrics = channels.metrics.clone();
    let (session, messages) = Session::new(settings.queue_bytes_max, settings.message_bytes_max, metrics);
    let session = Arc::new(session);
    let entered = channels.fallback.insert(key, &session)?;
    if !Arc::ptr_eq(&entered, &session) {
        return Some(entered);
    }
    let connection = channels.open(hello, session.clone()).await.ok();
    tokio::spawn(run(channels.clone(), key.clone(), session.clone(), connection, messages));
    Some(session)
}

/// Feeds the connection with what the client sends, until the client or the connection is gone.
async fn run(
    channels: Arc<Channels>,
    key: SessionKey,
    session: Arc<Session>,
    mut connection: Option<Connection>,
    mut messages: mpsc::Receiver<String>,
) {
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
    channels.fallback.remove(&key);
    if dropped {
        session.close(1006, "the client is gone");
    }
    if let Some(connection) = connection {
        connection.close(Closed::Dropped).await;
    }
}

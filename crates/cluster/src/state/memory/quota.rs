//! How many connections each application has.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use parking_lot::Mutex;

use super::connections::shrink;
use super::shards::Shards;
use crate::{StateError, SubscriberId};

/// Connections by application. The ids are kept, so that a call made twice counts once.
///
/// A connection's shard is locked before the counts and while they change, so a count is never off, and the
/// lock that all connections share is held for one addition.
pub(super) struct Quota {
    connections: Shards<HashSet<SubscriberId>>,
    counts: Mutex<HashMap<Arc<str>, u64>>,
}

impl Quota {
    pub(super) fn new() -> Self {
        Self { connections: Shards::new(), counts: Mutex::default() }
    }

    /// Counts a connection in and returns how many there are now.
    pub(super) fn connect(
        &self,
        app: &str,
        connection: SubscriberId,
        connections_max: Option<u64>,
    ) -> Result<u64, StateError> {
        self.connections.write(app, connection, |connections| {
            let mut counts = self.counts.lock();
            let count = counts.get(app).copied().unwrap_or(0);
            if connections.contains(&connection) {
                return Ok(count);
            }
            if let Some(connections_max) = connections_max
                && count >= connections_max
            {
                return Err(StateError::ConnectionsFull { connections_max });
            }
            match counts.get_mut(app) {
                Some(count) => *count += 1,
                None => drop(counts.insert(app.into(), 1)),
            }
            drop(counts);
            connections.insert(connection);
            Ok(count + 1)
        })
    }

    /// Counts a connection out.
    pub(super) fn disconnect(&self, app: &str, connection: SubscriberId) {
        self.connections.write(app, connection, |connections| {
            if !connections.remove(&connection) {
                return;
            }
            shrink(connections);
            let mut counts = self.counts.lock();
            if let Some(count) = counts.get_mut(app) {
                *count -= 1;
                if *count == 0 {
                    counts.remove(app);
                }
            }
        });
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        use super::shards::SHARDS;
        let shards_are_empty =
            (0..SHARDS).all(|nth| self.connections.read_nth(nth, "1001", |_| ()).is_none());
        shards_are_empty && self.counts.lock().is_empty()
    }
}

//! Topics and who listens to them.

use std::fmt;
use std::sync::Arc;

/// The name of something a client can listen to. Opaque to everything but the protocol that made it.
///
/// Cloning counts a reference.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Topic(Arc<str>);

impl Topic {
    /// A topic of this name. Protocols begin theirs with a prefix of their own, so that they can't meet.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Topic({})", self.0)
    }
}

/// One subscriber, unique in the cluster: the two halves of a Pusher socket id, for instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubscriberId {
    /// The gateway incarnation's part.
    pub high: u64,
    /// The part that is unique within it.
    pub low: u64,
}

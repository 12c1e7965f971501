//! The parts a cluster is made of, each a trait with one implementation for a single process and one for many.
//!
//! | trait | what it does | embedded |
//! |---|---|---|
//! | [`Bus`] | carries messages of a topic to every gateway that has a subscriber | [`MemoryBus`] |
//! | [`State`] | decides occupancy, presence, sign-in; keeps last events | [`MemoryState`] |
//! | [`Log`] | durable ordered records | [`FileLog`] |
//!
//! What an implementation must do is written down as tests, in `tests/contract`.

mod bus;
mod log;
mod state;
mod topic;

pub use bus::{Body, Bus, BusError, MemoryBus, Message, MessageId, Receiver};
pub use log::{
    Durability, Entry, FileLog, FileLogOptions, Log, LogError, RECORD_BYTES_MAX, Sequence, Snapshot,
};
pub use state::{
    CachedEvent, ChannelCounts, ChannelKey, Join, Joined, Left, Member, MemoryState, MemoryStateLimits,
    SignedIn, SignedOut, State, StateError,
};
pub use topic::{SubscriberId, Topic};

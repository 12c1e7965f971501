//! Topics, subscribers, fan-out and back-pressure, within one gateway.
//!
//! The [`Hub`] knows topics, subscribers and frames that were encoded once, and nothing of any protocol. Messages
//! come in through [`Receiver::receive`](courant_cluster::Receiver) and wait in the bounded queue of the worker
//! that their topic belongs to, so that the messages of a topic stay in order. A worker takes all that waits, up to
//! a bound, and writes to each subscriber once per batch: at rest a message goes out at once by itself, under load
//! many go out with one system call.
//!
//! A topic is known here exactly while it has a subscriber.

mod fanout;
mod hub;
mod members;

pub use hub::{Hub, HubSettings, Observer, Subscription};

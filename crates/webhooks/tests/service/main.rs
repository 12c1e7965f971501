//! The service against real receivers on the loopback interface, with its queue in a real log.

#![allow(clippy::unwrap_used)] // A test that fails says where.

mod delivery;
mod journal;
mod kill;
mod log;
mod receiver;
mod restart;
mod rig;
mod tls;

//! The service with the parts of a single process and clients that have no stream: what needs paused time, or many
//! connections that act at the same time.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]
#![allow(unreachable_pub, reason = "a test binary has no other crates to hide from")]

mod fallback;
mod interleavings;
mod liveness;
mod rig;

//! RFC 6455 server side on a raw stream: shared frames, coalesced writes, timers. No protocol above it.

mod frame;
mod sink;

pub use frame::Frame;
pub use sink::{Closed, Pushed, Sink};

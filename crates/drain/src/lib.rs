//! How fast connections are moved: pure pacing, shared by gateway and operator.
//!
//! # Why closes are spread
//!
//! Whoever closes many connections at once is answered by all of their clients at once. A Pusher client that is
//! closed with 4200 to 4299 reconnects immediately: pusher-js waits 0 ms and adds no jitter, and for 4100 to 4199 a
//! fixed second (`connection_manager.ts` of pusher-js 8.6); the protocol has no message for "come back within 10 s".
//! So 20,000 closes are 20,000 TLS handshakes within a round trip, each followed by requests to the application's
//! own server to authorise private channels again, and by retries when an accept queue overflows. The clients can't
//! be asked to spread, therefore the closes are: [`Pacer`] says how many are due at any instant.
//!
//! They go in [`random_order`], because neighbours in a table of connections came together, often from one
//! application, and would hit its server together again.
//!
//! # What the pace is
//!
//! - The remaining closes are spread over the remaining time. Connections that leave by themselves slow it down.
//! - A caller that falls behind, because it was busy or its machine slept, catches up gently: the rate rises to
//!   [`CATCH_UP`] times the planned one and a single step never closes more than one and a half slices, so that a
//!   stall does not turn into the very burst that pacing is to prevent. Such a drain ends late.
//! - Only the deadline outweighs that: the rate rises as far as it takes to end by then, and what is left at the
//!   deadline is closed at once, for the process is about to be killed.
//! - Few connections do not dawdle: at least one is closed each second, the first one immediately.
//!
//! There is no clock in here: times are durations since the drain began, from a monotonic clock.
//!
//! ```
//! use std::time::Duration;
//! use courant_drain::{Pacer, Step, random_order};
//!
//! let mut open: Vec<u32> = random_order((0..5_000).collect(), 7);
//! let mut pacer = Pacer::new(open.len(), Duration::from_secs(10), Duration::from_secs(30), 7);
//! let mut now = Duration::ZERO; // a server asks its clock, and sleeps
//! loop {
//!     match pacer.poll(now, open.len()) {
//!         Step::Close(count) => open.truncate(open.len() - count),
//!         Step::Wait(time) => now += time,
//!         Step::Done => break,
//!     }
//! }
//! assert!(now > Duration::from_secs(9) && now <= Duration::from_secs(10));
//! ```

mod order;
mod pacer;

pub use order::random_order;
pub use pacer::{CATCH_UP, Pacer, Phase, Step};

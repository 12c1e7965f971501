//! Outgoing webhooks: an application's servers are told what happens in its channels (Pusher webhooks).
//!
//! ```text
//! notify -> grace, windows -> queue -> journal -> courier -> receiver
//!             (dispatcher)         (ledger)  (the log)  (one for each endpoint)
//! ```
//!
//! | module | what it does |
//! |---|---|
//! | [`Webhooks`] | the service: takes reports, owns the tasks |
//! | `grace`, `windows` | decide what is told, and when: a return cancels an end, counts and misses are told now and then |
//! | `share` | divides a bound among those who use it |
//! | `dispatcher` | holds all state behind one lock; no I/O |
//! | `ledger`, `record` | the durable part of it, and how it is written |
//! | `outbox`, `journal`, `recovery` | write it to a log and read it back |
//! | [`Receipt`] | waits for that |
//! | `lane`, `backoff` | order and retries of one endpoint |
//! | `courier`, `request`, `sender` | send signed requests to one endpoint |
//! | `connector`, `address` | connect to allowed addresses only |
//!
//! Delivery is at least once: a webhook that was accepted a moment before a crash is sent again, under the same
//! `X-Courant-Webhook-Id`.

mod address;
mod backoff;
mod clock;
mod connector;
mod courier;
mod dead_letter;
mod dispatcher;
mod error;
mod event;
mod grace;
mod journal;
mod lane;
mod ledger;
mod outbox;
mod quiet;
mod receipt;
mod record;
mod recovery;
mod registry;
mod request;
mod sender;
mod settings;
mod share;
mod stats;
mod webhooks;
mod windows;

use dead_letter::DeadLetters;

pub use courant_auth::WebhookEvent as EventKind;
pub use dead_letter::{DeadLetter, DeadReason, Failure};
pub use error::Error;
pub use event::Event;
pub use receipt::Receipt;
pub use settings::Settings;
pub use stats::{EndpointStats, Stats};
pub use webhooks::Webhooks;

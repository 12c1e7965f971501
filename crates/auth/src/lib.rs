//! Applications and keys, signatures and limits.
//!
//! | module | what it decides |
//! |---|---|
//! | [`App`], [`Apps`] | which applications there are, their keys, what each may do |
//! | [`signature`] | whether a channel, a user or an HTTP request was signed with one of an application's secrets |
//! | [`limits`] | how many connections an address opens, and how fast; how fast a connection sends |
//! | [`client_address`] | whose address it is, behind proxies |
//!
//! Nothing here does I/O or reads a clock: callers pass the time in. Every function that takes bytes from outside
//! is total.

mod app;
mod apps;
mod client_address;
mod identity;
pub mod limits;
mod networks;
mod origin;
pub mod signature;
mod webhook;

pub use app::{App, AppLimits, KeyPair};
pub use apps::{Apps, AppsError};
pub use client_address::client_address;
pub use identity::{AppId, IdentityError, Key, Secret};
pub use networks::Networks;
pub use origin::{OriginError, OriginPattern};
pub use webhook::{WebhookEndpoint, WebhookError, WebhookEvent};

//! How much one address or one connection may do.

mod address;
mod rate;

pub use address::{AddressGuard, AddressLimits, AddressRefused, Addresses};
pub use rate::{Quota, RateLimiter};

//! What is left of a [`FileLog`](courant_cluster::FileLog) after a crash, at any byte and at any moment.

#![allow(clippy::unwrap_used, reason = "a case ends at the first surprise")]

mod files;
mod kill;

//! What implementations of [`Bus`](courant_cluster::Bus), [`State`](courant_cluster::State) and
//! [`Log`](courant_cluster::Log) must do, written as cases that any of them can be run through.
//!
//! A suite is a module of async functions that take a fresh implementation, or what makes one, and a macro
//! that names all of them, so that none is forgotten. An implementation runs it from a module of its own, as
//! [`embedded`] does, with the test attribute that suits its clock.

#![allow(clippy::unwrap_used, reason = "a case ends at the first surprise")]

/// Makes a test of each case of a suite.
macro_rules! cases {
    ($suite:ident, #[$test:meta], $make:expr; $($case:ident)*) => {
        $(
            #[$test]
            async fn $case() {
                crate::$suite::$case($make).await;
            }
        )*
    };
}

mod bus;
mod embedded;
mod log;
mod state;
mod state_model;

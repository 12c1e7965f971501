//! What the `courant` binary is made of: configuration, routes and the wiring of the other crates.
//!
//! | module | what it does |
//! |---|---|
//! | [`config`] | what can be set, from a file and the environment |
//! | [`run`] | puts the parts together, and runs them from start to the end of a drain |
//! | [`gateway`] | what the listeners and handlers share |
//! | [`listener`] | from a TCP connection to HTTP: limits, PROXY protocol, TLS, deadlines |
//! | [`routes`] | what is at which path |
//! | [`websocket`] | the upgrade, and a connection's task |
//! | [`private`] | the address for operators: metrics, health |
//! | [`draining`] | the graceful stop |

pub mod banner;
pub mod config;
pub mod documents;
pub mod draining;
pub mod gateway;
pub mod listener;
pub mod observers;
pub mod private;
pub mod routes;
pub mod run;
pub mod stream;
pub mod websocket;

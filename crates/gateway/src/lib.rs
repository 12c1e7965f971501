//! What the `courant` binary is made of.

pub mod config;

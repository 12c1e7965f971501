//! The `courant` binary.
fn main() {}

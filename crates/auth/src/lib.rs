//! Applications and keys, signatures and limits.

//! Why webhooks can't be opened.

use std::path::PathBuf;

use courant_cluster::{LogError, Sequence};

/// Why webhooks can't be opened. Nothing that happens later is an error: it is counted, logged, or a dead letter.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting is zero that must not be.
    #[error(
        "the setting {setting} is 0, with which no webhook could be sent; give it a value or leave it out"
    )]
    ZeroSetting {
        /// Its name.
        setting: &'static str,
    },
    /// The queue can't be read.
    #[error("the webhook queue can't be read: {0}")]
    Log(#[from] LogError),
    /// The queue holds something that this version did not write.
    #[error("the webhook queue holds at {sequence} what this version can't read: {what}")]
    Foreign {
        /// The record, or the last that the snapshot stands for.
        sequence: Sequence,
        /// What is wrong with it.
        what: String,
    },
    /// The file of certificate authorities can't be used.
    #[error("no certificate authorities can be read from {path}: {what}", path = path.display())]
    Authorities {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// TLS can't be set up.
    #[error("tls can't be set up: {0}")]
    Tls(#[from] rustls::Error),
}

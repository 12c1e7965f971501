//! Why a request is refused, in the texts that clients get.

use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

/// Why a request is not authorised. Every one is answered with status 401 and this text, followed by a line feed.
///
/// `UnknownKey`, `Expired` and `Signature` begin as the real service's do, which users search for. No official SDK's test
/// asserts any of the texts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpAuthError {
    /// A parameter that every signed request has is not there, or is empty.
    #[error("Missing required parameter: {name}")]
    Missing {
        /// Which one.
        name: &'static str,
    },
    /// A parameter that decides who signed is there twice.
    #[error("Parameter given more than once: {name}")]
    Repeated {
        /// Which one.
        name: &'static str,
    },
    /// `auth_version` is not 1.0.
    #[error("Version not supported: auth_version must be 1.0, but you sent {version:?}")]
    Version {
        /// What was sent.
        version: String,
    },
    /// No application has this key, or it is disabled.
    #[error("Unknown auth_key {key}")]
    UnknownKey {
        /// What was sent.
        key: String,
    },
    /// The key is not one of the application that the path names.
    #[error("Invalid auth_key: {key} is no key of app {app_id}")]
    KeyOfOtherApp {
        /// The key.
        key: String,
        /// The application of the path.
        app_id: String,
    },
    /// `auth_timestamp` is no number of seconds.
    #[error(
        "Invalid timestamp: auth_timestamp must be seconds since the Unix epoch, but you sent {timestamp:?}"
    )]
    TimestampFormat {
        /// What was sent.
        timestamp: String,
    },
    /// `auth_timestamp` is too far from the server's time.
    #[error(
        "Timestamp expired: Given timestamp ({}) not within 600s of server time ({})",
        UtcTime(*given_unix_s),
        UtcTime(*now_unix_s)
    )]
    Expired {
        /// What was sent.
        given_unix_s: u64,
        /// The server's time.
        now_unix_s: u64,
    },
    /// The signature is that of another text or by another secret.
    #[error(
        "Invalid signature: you should have sent HmacSHA256Hex({string_to_sign:?}, your_secret_key), but you sent \
         {signature:?}"
    )]
    Signature {
        /// What should have been signed.
        string_to_sign: String,
        /// What was sent.
        signature: String,
    },
    /// The body is not the one that was signed.
    #[error("Invalid body_md5: the MD5 of the body is {actual}, but you sent {given:?}")]
    BodyMd5 {
        /// The MD5 of the body that was received.
        actual: String,
        /// What was sent.
        given: String,
    },
}

/// The errors as a list of Markdown, for `docs/protocol.md`; what is filled in stands in capitals.
pub fn reference_markdown() -> String {
    let text = |text: &str| text.to_owned();
    let errors = [
        HttpAuthError::Missing { name: "PARAMETER" },
        HttpAuthError::Repeated { name: "PARAMETER" },
        HttpAuthError::Version { version: text("VERSION") },
        HttpAuthError::UnknownKey { key: text("KEY") },
        HttpAuthError::KeyOfOtherApp { key: text("KEY"), app_id: text("ID") },
        HttpAuthError::TimestampFormat { timestamp: text("TEXT") },
        HttpAuthError::Expired { given_unix_s: 0, now_unix_s: 601 },
        HttpAuthError::Signature { string_to_sign: text("TEXT"), signature: text("SIGNATURE") },
        HttpAuthError::BodyMd5 { actual: text("MD5"), given: text("MD5") },
    ];
    errors.iter().map(|error| format!("- `{error}`\n")).collect()
}

/// The last second that has four digits in its year; beyond it there is no date to print.
const DATE_MAX_UNIX_S: u64 = 253_402_300_799;

/// Seconds since the Unix epoch, printed as a date, or as the number where it is too large for one.
struct UtcTime(u64);

impl fmt::Display for UtcTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 > DATE_MAX_UNIX_S {
            return write!(f, "{}", self.0);
        }
        write!(f, "{}", humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(self.0)))
    }
}

//! The names an application goes by, and what it signs with.

use std::fmt;
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

#[cfg(test)]
mod tests;

/// The longest app id and key. Both end up in metric labels and topic names.
const IDENTITY_BYTES_MAX: usize = 64;

/// An application's id, as in `/apps/{id}/events`.
///
/// Several official SDKs take only digits (Python, Go, Swift), so ids should be numbers; letters, `-` and `_` are
/// accepted for those that don't.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AppId(Arc<str>);

/// The public half of a key pair: what clients connect with, and what names the secret of a signature.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(Arc<str>);

/// The private half of a key pair.
///
/// Only the keyed hash is kept, so there is no text to leak; comparisons take the same time wherever they differ.
#[derive(Clone)]
pub struct Secret(Hmac<Sha256>);

/// Why a text is no app id, key or secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// It is empty.
    #[error("it is empty")]
    Empty,
    /// It is longer than 64 bytes.
    #[error("it has {bytes} bytes, at most 64 are allowed")]
    TooLong {
        /// How long it is.
        bytes: usize,
    },
    /// It holds something else than letters, digits, `-` and `_`.
    #[error("it holds {character:?}; letters, digits, '-' and '_' are allowed")]
    Character {
        /// The first character that is not allowed.
        character: char,
    },
}

// === impl AppId ===

impl AppId {
    /// An id of 1 to 64 characters out of `A-Za-z0-9_-`.
    ///
    /// # Errors
    /// Any other text.
    pub fn new(id: &str) -> Result<Self, IdentityError> {
        check(id).map(|()| Self(id.into()))
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id, shared.
    pub fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

impl fmt::Display for AppId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for AppId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AppId({})", self.0)
    }
}

// === impl Key ===

impl Key {
    /// A key of 1 to 64 characters out of `A-Za-z0-9_-`.
    ///
    /// # Errors
    /// Any other text.
    pub fn new(key: &str) -> Result<Self, IdentityError> {
        check(key).map(|()| Self(key.into()))
    }

    /// The key.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.0)
    }
}

// === impl Secret ===

impl Secret {
    /// A secret of any text but the empty one.
    ///
    /// # Errors
    /// The text is empty.
    pub fn new(secret: &str) -> Result<Self, IdentityError> {
        if secret.is_empty() {
            return Err(IdentityError::Empty);
        }
        let keyed = Hmac::new_from_slice(secret.as_bytes()).expect("an HMAC key may have any length");
        Ok(Self(keyed))
    }

    /// The HMAC-SHA256 of the parts as if they were one text, in lower-case hex.
    pub fn sign(&self, parts: &[&[u8]]) -> String {
        hex::encode(self.hash(parts).finalize().into_bytes())
    }

    /// Whether `signature` is the hex of the parts' HMAC-SHA256. The time it takes tells nothing about the right one.
    pub fn verifies(&self, parts: &[&[u8]], signature: &str) -> bool {
        let mut given = [0; 32];
        hex::decode_to_slice(signature, &mut given).is_ok() && self.hash(parts).verify_slice(&given).is_ok()
    }

    fn hash(&self, parts: &[&[u8]]) -> Hmac<Sha256> {
        let mut hash = self.0.clone();
        for part in parts {
            hash.update(part);
        }
        hash
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

fn check(text: &str) -> Result<(), IdentityError> {
    if text.is_empty() {
        return Err(IdentityError::Empty);
    }
    if text.len() > IDENTITY_BYTES_MAX {
        return Err(IdentityError::TooLong { bytes: text.len() });
    }
    match text.chars().find(|c| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_')) {
        Some(character) => Err(IdentityError::Character { character }),
        None => Ok(()),
    }
}

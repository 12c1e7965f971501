//! What is signed with an application's secret: subscriptions, sign-ins, HTTP requests, webhooks.
//!
//! The texts that are signed are Pusher's (Channels documentation, "Generating the authentication string"), and so
//! are the texts of the errors, which clients log and users search for.

pub mod http;

use crate::{App, Secret};

#[cfg(test)]
mod tests;

/// Why a client is not authorised. The text is what the client is told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// `auth` is not `key:signature`.
    #[error("Invalid format: auth must have the format key:signature")]
    Format,
    /// The application has no such active key.
    #[error("Invalid key in subscription auth data: '{key}'")]
    UnknownKey {
        /// The key that was sent.
        key: String,
    },
    /// The signature is another one.
    #[error("Invalid signature: Expected HMAC SHA256 hex digest of {signed}, but got {signature}")]
    Mismatch {
        /// The text that should have been signed.
        signed: String,
        /// The signature that was sent.
        signature: String,
    },
}

/// The signature for a connection's subscription to a channel, in hex.
///
/// `channel_data` is signed exactly as it is sent, on any kind of channel, if it is sent as a string.
pub fn channel_auth(secret: &Secret, socket_id: &str, channel: &str, channel_data: Option<&str>) -> String {
    match channel_data {
        Some(data) => secret.sign(&channel_parts(socket_id, channel, data)),
        None => secret.sign(&channel_parts(socket_id, channel, "")[..3]),
    }
}

/// The signature for a connection's sign-in with this `user_data`, in hex.
pub fn user_auth(secret: &Secret, socket_id: &str, user_data: &str) -> String {
    secret.sign(&user_parts(socket_id, user_data))
}

/// The signature of a webhook's body, in hex; it goes into `X-Pusher-Signature`.
pub fn webhook(secret: &Secret, body: &[u8]) -> String {
    secret.sign(&[body])
}

/// Checks the `auth` (`key:signature`) that a client sends to subscribe to a channel.
///
/// # Errors
/// It is not one of the application's active keys with its signature of these three.
pub fn verify_channel_auth(
    app: &App,
    auth: &str,
    socket_id: &str,
    channel: &str,
    channel_data: Option<&str>,
) -> Result<(), AuthError> {
    let parts = channel_parts(socket_id, channel, channel_data.unwrap_or_default());
    verify(app, auth, if channel_data.is_some() { &parts } else { &parts[..3] })
}

/// Checks the `auth` (`key:signature`) that a client sends to sign in.
///
/// # Errors
/// It is not one of the application's active keys with its signature of these two.
pub fn verify_user_auth(app: &App, auth: &str, socket_id: &str, user_data: &str) -> Result<(), AuthError> {
    verify(app, auth, &user_parts(socket_id, user_data))
}

fn channel_parts<'a>(socket_id: &'a str, channel: &'a str, channel_data: &'a str) -> [&'a [u8]; 5] {
    [socket_id.as_bytes(), b":", channel.as_bytes(), b":", channel_data.as_bytes()]
}

fn user_parts<'a>(socket_id: &'a str, user_data: &'a str) -> [&'a [u8]; 3] {
    [socket_id.as_bytes(), b"::user::", user_data.as_bytes()]
}

fn verify(app: &App, auth: &str, parts: &[&[u8]]) -> Result<(), AuthError> {
    let (key, signature) = auth.split_once(':').ok_or(AuthError::Format)?;
    let pair = app.key_pair(key).ok_or_else(|| AuthError::UnknownKey { key: key.to_owned() })?;
    if pair.secret.verifies(parts, signature) {
        return Ok(());
    }
    let signed = String::from_utf8_lossy(&parts.concat()).into_owned();
    Err(AuthError::Mismatch { signed, signature: signature.to_owned() })
}

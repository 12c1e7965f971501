//! Signed requests to the HTTP API (Pusher HTTP API, "Authentication").
//!
//! ```text
//! string to sign = METHOD "\n" PATH "\n" QUERY
//! QUERY          = every parameter received but auth_signature: keys in lower case, sorted, key=value
//!                  joined with '&', values not escaped
//! ```
//!
//! The official SDKs don't agree on what is escaped when they sign and when they send. Where the text that was signed
//! can't be known from the request, each reading that an SDK has is tried; a signature of any of them proves that the
//! sender knows the secret and means this request.

mod candidates;
mod error;
mod query;

use std::sync::Arc;

use md5::{Digest, Md5};

use crate::{App, Apps, Key};

pub use error::{HttpAuthError, reference_markdown};
pub use query::Query;

#[cfg(test)]
mod tests;

/// How far from the server's clock a request's `auth_timestamp` may be, in seconds.
pub const TIMESTAMP_TOLERANCE_S: u64 = 600;

/// What a request's signature covers, as it was received.
#[derive(Clone, Copy, Debug)]
pub struct SignedRequest<'a> {
    /// The method, in capitals.
    pub method: &'a str,
    /// The path as it was sent, still percent-encoded.
    pub path: &'a str,
    /// The configured prefix of all paths; empty: none. Some SDKs sign it and some don't.
    pub path_prefix: &'a str,
    /// The query string as it was sent, without the `?`.
    pub query: &'a str,
    /// The body.
    pub body: &'a [u8],
}

/// Who signed a request.
#[derive(Clone, Debug)]
pub struct Signer {
    /// The application. It may be disabled: that is the caller's to answer (403).
    pub app: Arc<App>,
    /// The key whose secret signed.
    pub key: Key,
}

/// Finds out who signed a request, and checks its body; [`verify_head`] and [`verify_body`] in one.
///
/// # Errors
/// Each of [`HttpAuthError`]; all are answered with 401 and their text.
pub fn verify(
    apps: &Apps,
    app_id: Option<&str>,
    request: &SignedRequest<'_>,
    now_unix_s: u64,
) -> Result<Signer, HttpAuthError> {
    let signer = verify_head(apps, app_id, request, now_unix_s)?;
    verify_body(request.query, request.body)?;
    Ok(signer)
}

/// Checks a body against the MD5 that was signed with the head.
///
/// # Errors
/// [`HttpAuthError::BodyMd5`] or [`HttpAuthError::Missing`].
pub fn verify_body(query: &str, body: &[u8]) -> Result<(), HttpAuthError> {
    check_body(&Query::parse(query), body)
}

/// Finds out who signed a request from its head alone: the body's MD5 is signed, not the body. So nobody without the
/// secret can make the server read, keep or hash a body.
///
/// `app_id` is the application that the path names, where it does; the key must be one of its keys. `now_unix_s` is the
/// server's clock in seconds since the Unix epoch.
///
/// # Errors
/// Each of [`HttpAuthError`]; all are answered with 401 and their text.
pub fn verify_head(
    apps: &Apps,
    app_id: Option<&str>,
    request: &SignedRequest<'_>,
    now_unix_s: u64,
) -> Result<Signer, HttpAuthError> {
    let query = Query::parse(request.query);
    let auth_key = required(&query, "auth_key")?;
    let signature = required(&query, "auth_signature")?;
    let version = required(&query, "auth_version")?;
    let timestamp = required(&query, "auth_timestamp")?;
    if version != "1.0" {
        return Err(HttpAuthError::Version { version: version.to_owned() });
    }
    let (app, pair) =
        apps.by_key(auth_key).ok_or_else(|| HttpAuthError::UnknownKey { key: auth_key.to_owned() })?;
    if let Some(app_id) = app_id.filter(|&app_id| app_id != app.id.as_str()) {
        return Err(HttpAuthError::KeyOfOtherApp { key: auth_key.to_owned(), app_id: app_id.to_owned() });
    }
    check_timestamp(timestamp, now_unix_s)?;

    let signs = |candidate: &String| pair.secret.verifies(&[candidate.as_bytes()], signature);
    let mut candidates = candidates::strings_to_sign(request, &query);
    if !candidates.iter().any(signs) {
        return Err(HttpAuthError::Signature {
            string_to_sign: candidates.swap_remove(0),
            signature: signature.to_owned(),
        });
    }
    Ok(Signer { app: Arc::clone(app), key: pair.key.clone() })
}

/// The signature of a request with these parameters, which must not hold `auth_signature`: what an SDK sends.
pub fn sign(secret: &crate::Secret, method: &str, path: &str, parameters: &[(&str, &str)]) -> String {
    let query = Query::from_pairs(parameters);
    secret.sign(&[candidates::string_to_sign(method, path, &query.signed_pairs()).as_bytes()])
}

/// The MD5 of a body in hex, as `body_md5` wants it.
pub fn body_md5(body: &[u8]) -> String {
    hex::encode(Md5::digest(body))
}

fn required<'q>(query: &'q Query, name: &'static str) -> Result<&'q str, HttpAuthError> {
    match query.only(name) {
        Ok(Some(value)) if !value.is_empty() => Ok(value),
        Ok(_) => Err(HttpAuthError::Missing { name }),
        Err(_) => Err(HttpAuthError::Repeated { name }),
    }
}

fn check_timestamp(timestamp: &str, now_unix_s: u64) -> Result<(), HttpAuthError> {
    let given: u64 =
        timestamp.parse().map_err(|_| HttpAuthError::TimestampFormat { timestamp: timestamp.to_owned() })?;
    if given.abs_diff(now_unix_s) > TIMESTAMP_TOLERANCE_S {
        return Err(HttpAuthError::Expired { given_unix_s: given, now_unix_s });
    }
    Ok(())
}

/// The body is signed through its MD5. Without one only an empty body is proven; with one it is checked on every
/// method, because the Python SDK sends the MD5 of nothing with its GETs.
fn check_body(query: &Query, body: &[u8]) -> Result<(), HttpAuthError> {
    match query.only("body_md5") {
        Err(_) => Err(HttpAuthError::Repeated { name: "body_md5" }),
        Ok(None) if body.is_empty() => Ok(()),
        Ok(None) => Err(HttpAuthError::Missing { name: "body_md5" }),
        Ok(Some(given)) => {
            let actual = body_md5(body);
            if given.eq_ignore_ascii_case(&actual) {
                Ok(())
            } else {
                Err(HttpAuthError::BodyMd5 { actual, given: given.to_owned() })
            }
        }
    }
}

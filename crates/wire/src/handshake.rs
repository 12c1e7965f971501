//! The HTTP side of the opening handshake (RFC 6455, section 4.2), as pure functions.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::header::{
    ALLOW, CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Version};
use sha1::{Digest as _, Sha1};

/// Section 1.3: what proves that the answer comes from a WebSocket server.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The one version there is.
const VERSION: &str = "13";

/// A key is 16 bytes; whether its two last, unused bits are zero is nobody's concern.
const KEY: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);

/// Why a request is not upgraded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct HandshakeError {
    /// The status of the answer.
    pub status: StatusCode,
    /// What was wrong, fit for the answer's body.
    pub text: &'static str,
}

const METHOD: HandshakeError = HandshakeError {
    status: StatusCode::METHOD_NOT_ALLOWED,
    text: "a websocket handshake must be a GET request",
};
const HTTP_VERSION: HandshakeError = HandshakeError {
    status: StatusCode::HTTP_VERSION_NOT_SUPPORTED,
    text: "a websocket handshake must use HTTP/1.1",
};
const NO_UPGRADE: HandshakeError = HandshakeError {
    status: StatusCode::UPGRADE_REQUIRED,
    text: "expected a websocket handshake: the header 'Upgrade: websocket' is missing",
};
const NO_CONNECTION: HandshakeError = HandshakeError {
    status: StatusCode::BAD_REQUEST,
    text: "the header 'Connection: Upgrade' is missing; a proxy may have removed it",
};
const WRONG_VERSION: HandshakeError = HandshakeError {
    status: StatusCode::UPGRADE_REQUIRED,
    text: "the header 'Sec-WebSocket-Version' must be 13",
};
const WRONG_KEY: HandshakeError = HandshakeError {
    status: StatusCode::BAD_REQUEST,
    text: "the header 'Sec-WebSocket-Key' must be given once, with 16 bytes in base64",
};

impl HandshakeError {
    /// The whole answer, with the headers that its status asks for.
    pub fn response(&self) -> Response<String> {
        let mut response = Response::new(self.text.to_owned());
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        match self.status {
            StatusCode::METHOD_NOT_ALLOWED => {
                headers.insert(ALLOW, HeaderValue::from_static("GET"));
            }
            StatusCode::UPGRADE_REQUIRED => {
                headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static(VERSION));
                headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
                headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
            }
            _ => {}
        }
        response
    }
}

/// Judges a request for an upgrade; answers the value for `Sec-WebSocket-Accept`.
///
/// # Errors
///
/// The status and text to answer with, where the request is not a handshake of version 13.
pub fn check(method: &Method, version: Version, headers: &HeaderMap) -> Result<String, HandshakeError> {
    if method != Method::GET {
        return Err(METHOD);
    }
    if version != Version::HTTP_11 {
        return Err(HTTP_VERSION);
    }
    if !has_token(headers, &UPGRADE, "websocket") {
        return Err(NO_UPGRADE);
    }
    if !has_token(headers, &CONNECTION, "upgrade") {
        return Err(NO_CONNECTION);
    }
    if sole(headers, &SEC_WEBSOCKET_VERSION) != Some(VERSION.as_bytes()) {
        return Err(WRONG_VERSION);
    }
    let key = sole(headers, &SEC_WEBSOCKET_KEY).ok_or(WRONG_KEY)?;
    let mut decoded = [0; 18];
    match KEY.decode_slice(key, &mut decoded) {
        Ok(16) => Ok(accept(key)),
        _ => Err(WRONG_KEY),
    }
}

/// The answer to a request that [`check`] took: 101, with `accept` as its proof.
pub fn switching_protocols(accept: &str) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    if let Ok(value) = HeaderValue::from_str(accept) {
        headers.insert(SEC_WEBSOCKET_ACCEPT, value);
    }
    response
}

fn accept(key: &[u8]) -> String {
    let mut hash = Sha1::new();
    hash.update(key);
    hash.update(GUID);
    STANDARD.encode(hash.finalize())
}

/// Whether a header that is a list of tokens, perhaps over several lines, holds `token` in any case.
fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    headers.get_all(name).iter().any(|value| {
        let mut tokens = value.as_bytes().split(|byte| *byte == b',');
        tokens.any(|found| found.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
    })
}

/// The value of a header that may be given only once.
fn sole<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a [u8]> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => Some(value.as_bytes().trim_ascii()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;

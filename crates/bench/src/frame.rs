//! The client side of RFC 6455, as little of it as a load generator needs.
//!
//! Frames are read in place from a shared buffer. Fragmented and binary messages are errors: the Pusher
//! protocol uses neither, and silently skipping one would count as a lost message later.

use std::fmt;

/// The longest frame accepted, in bytes. Far above any limit of the protocol (100 KB for presence data).
const FRAME_BYTES_MAX: usize = 1 << 20;

const OPCODE_TEXT: u8 = 1;
const OPCODE_CLOSE: u8 = 8;
const OPCODE_PING: u8 = 9;
const OPCODE_PONG: u8 = 10;

/// A complete frame from the server.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame<'a> {
    /// A whole message.
    Text(&'a [u8]),
    /// To be answered with a pong that carries the same bytes.
    Ping(&'a [u8]),
    /// An answer to a ping; nothing to do.
    Pong,
    /// The server ends the connection, with a status code if it gave one.
    Close(Option<u16>),
}

/// Why the bytes of a server are not a frame that this client takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FrameError {
    /// Servers must not mask (RFC 6455 section 5.1).
    Masked,
    /// Reserved bits, a fragment, or an opcode that the protocol does not use; the first byte.
    Unsupported(u8),
    /// Longer than [`FRAME_BYTES_MAX`].
    TooLong(u64),
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Masked => write!(f, "the server masked a frame"),
            Self::Unsupported(byte) => write!(f, "unsupported frame, first byte {byte:#04x}"),
            Self::TooLong(bytes) => write!(f, "a frame of {bytes} bytes, more than {FRAME_BYTES_MAX}"),
        }
    }
}

/// Reads the first frame of `bytes`: the frame and its whole length, or `None` while it is incomplete.
pub(crate) fn parse(bytes: &[u8]) -> Result<Option<(Frame<'_>, usize)>, FrameError> {
    let &[first, second, ref rest @ ..] = bytes else { return Ok(None) };
    if second & 0x80 != 0 {
        return Err(FrameError::Masked);
    }
    let (length, header) = match second {
        126 => match rest.first_chunk() {
            Some(length) => (u64::from(u16::from_be_bytes(*length)), 4),
            None => return Ok(None),
        },
        127 => match rest.first_chunk() {
            Some(length) => (u64::from_be_bytes(*length), 10),
            None => return Ok(None),
        },
        short => (u64::from(short), 2),
    };
    let length = match usize::try_from(length) {
        Ok(length) if length <= FRAME_BYTES_MAX => length,
        _ => return Err(FrameError::TooLong(length)),
    };
    let Some(payload) = bytes.get(header..header + length) else { return Ok(None) };
    let frame = match first {
        0x81 => Frame::Text(payload),
        0x89 => Frame::Ping(payload),
        0x8a => Frame::Pong,
        0x88 => Frame::Close(payload.first_chunk().map(|code| u16::from_be_bytes(*code))),
        other => return Err(FrameError::Unsupported(other)),
    };
    Ok(Some((frame, header + length)))
}

/// Appends a text frame as a client must send it.
pub(crate) fn append_text(out: &mut Vec<u8>, payload: &[u8]) {
    append(out, OPCODE_TEXT, payload);
}

/// Appends the answer to a ping.
pub(crate) fn append_pong(out: &mut Vec<u8>, payload: &[u8]) {
    append(out, OPCODE_PONG, payload);
}

/// The mask is zero: legal, and the payload needs no pass over it. Masks protect proxies from browsers'
/// scripts, and this client is neither.
fn append(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    debug_assert!(opcode == OPCODE_TEXT || (OPCODE_CLOSE..=OPCODE_PONG).contains(&opcode));
    debug_assert!(opcode != OPCODE_PING || payload.len() <= 125);
    out.push(0x80 | opcode);
    match payload.len() {
        short @ 0..=125 => out.push(0x80 | short as u8),
        medium @ 126..=0xffff => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(medium as u16).to_be_bytes());
        }
        long => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(payload);
}

#[cfg(test)]
mod tests;

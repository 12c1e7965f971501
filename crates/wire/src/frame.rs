//! A server-to-client frame, encoded once and shared by every recipient.

use bytes::{BufMut, Bytes, BytesMut};

/// The longest header of an unmasked frame: two bytes and a 64-bit length (RFC 6455, section 5.2).
const HEADER_BYTES_MAX: usize = 10;

/// A complete WebSocket frame as it goes onto the wire.
///
/// Frames from a server are not masked, so the bytes are the same for every recipient: cloning a `Frame`
/// counts a reference and copies nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    bytes: Bytes,
    payload_at: u8,
}

/// The opcodes a server sends (RFC 6455, section 11.8).
#[derive(Clone, Copy)]
enum Opcode {
    Text = 0x1,
    Binary = 0x2,
    Close = 0x8,
    Ping = 0x9,
    Pong = 0xA,
}

impl Frame {
    /// A text message in one frame.
    pub fn text(payload: &str) -> Self {
        Self::encode(Opcode::Text, payload.as_bytes())
    }

    /// A binary message in one frame.
    pub fn binary(payload: &[u8]) -> Self {
        Self::encode(Opcode::Binary, payload)
    }

    /// A ping; `payload` is cut to the 125 bytes that a control frame holds.
    pub fn ping(payload: &[u8]) -> Self {
        Self::encode(Opcode::Ping, control(payload))
    }

    /// A pong; `payload` is cut to the 125 bytes that a control frame holds.
    pub fn pong(payload: &[u8]) -> Self {
        Self::encode(Opcode::Pong, control(payload))
    }

    /// A close with a code and a reason, the reason cut at a character so that it fits into 123 bytes.
    pub fn close(code: u16, reason: &str) -> Self {
        let mut end = reason.len().min(123);
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        let mut payload = Vec::with_capacity(2 + end);
        payload.put_u16(code);
        payload.extend_from_slice(&reason.as_bytes()[..end]);
        Self::encode(Opcode::Close, &payload)
    }

    /// A close without a code.
    pub fn close_empty() -> Self {
        Self::encode(Opcode::Close, &[])
    }

    /// Header and payload: what is written to a WebSocket.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The payload alone, for transports that frame it in another way.
    pub fn payload(&self) -> Bytes {
        self.bytes.slice(usize::from(self.payload_at)..)
    }

    fn encode(opcode: Opcode, payload: &[u8]) -> Self {
        let mut bytes = BytesMut::with_capacity(HEADER_BYTES_MAX + payload.len());
        bytes.put_u8(0x80 | opcode as u8);
        match payload.len() {
            length @ 0..=125 => bytes.put_u8(length as u8),
            length @ 126..=0xFFFF => {
                bytes.put_u8(126);
                bytes.put_u16(length as u16);
            }
            length => {
                bytes.put_u8(127);
                bytes.put_u64(length as u64);
            }
        }
        let payload_at = bytes.len() as u8;
        bytes.extend_from_slice(payload);
        Self { bytes: bytes.freeze(), payload_at }
    }
}

fn control(payload: &[u8]) -> &[u8] {
    &payload[..payload.len().min(125)]
}

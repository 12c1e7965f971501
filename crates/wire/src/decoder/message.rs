//! A message that arrives in parts.

use super::{Violation, header::Opcode};

/// The parts that have come, joined.
///
/// Grows with what arrives, never by what a header announces: a client pays for memory with bytes.
#[derive(Debug)]
pub(super) struct Message {
    opcode: Opcode,
    bytes: Vec<u8>,
    /// Of a text, the bytes known to be whole characters.
    checked: usize,
    /// Frames that have ended.
    fragments: u32,
}

impl Message {
    pub(super) fn new(opcode: Opcode) -> Self {
        Self { opcode, bytes: Vec::new(), checked: 0, fragments: 0 }
    }

    pub(super) fn opcode(&self) -> Opcode {
        self.opcode
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    pub(super) fn fragments(&self) -> u32 {
        self.fragments
    }

    pub(super) fn count_fragment(&mut self) {
        self.fragments = self.fragments.saturating_add(1);
    }

    /// Adds a part. A text that can't become UTF-8 any more is refused here, not at its end: what follows would
    /// only cost memory. A character may go on in the next part.
    pub(super) fn extend(&mut self, part: &[u8]) -> Result<(), Violation> {
        self.bytes.extend_from_slice(part);
        if self.opcode != Opcode::Text {
            return Ok(());
        }
        let unchecked = &self.bytes[self.checked..];
        self.checked += match simdutf8::compat::from_utf8(unchecked) {
            Ok(text) => text.len(),
            Err(error) if error.error_len().is_some() => return Err(Violation::TextNotUtf8),
            Err(error) => error.valid_up_to(),
        };
        Ok(())
    }
}

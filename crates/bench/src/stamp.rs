//! What each published message carries, so that a receiver can check it without parsing JSON.
//!
//! The data of a message is `cb:RRRRRRRR:LLLL:SSSSSSSS:TTTTTTTTTTTTTTTT:` in lower-case hex, then padding:
//! the run, the lane (the publishing connection), the sequence number on that lane and channel, and the
//! time at which the message *was scheduled* to be sent. No character of it is escaped in JSON, so the text
//! arrives as it left, inside whatever envelope the server adds.

use memchr::memmem::Finder;

const MARK: &[u8] = b"cb:";
const RUN_AT: usize = 3;
const LANE_AT: usize = 12;
const SEQUENCE_AT: usize = 17;
const SCHEDULED_AT: usize = 26;

/// Bytes of a stamp: the shortest payload that can be measured.
pub(crate) const STAMP_BYTES: usize = 43;

/// The identity of one published message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// The measurement that this message belongs to; a late message of an earlier one is not counted.
    pub(crate) run: u32,
    /// The publishing connection. Order is promised within a lane only.
    pub(crate) lane: u16,
    /// Position on this lane and channel, from 0.
    pub(crate) sequence: u32,
    /// When the message was due, in nanoseconds on the shared clock.
    pub(crate) scheduled_ns: u64,
}

impl Stamp {
    /// Appends the stamp and padding up to `payload_bytes` in all.
    pub(crate) fn append(&self, out: &mut Vec<u8>, payload_bytes: usize) {
        let end = out.len() + payload_bytes.max(STAMP_BYTES);
        out.extend_from_slice(MARK);
        append_hex(out, u64::from(self.run), 8);
        append_hex(out, u64::from(self.lane), 4);
        append_hex(out, u64::from(self.sequence), 8);
        append_hex(out, self.scheduled_ns, 16);
        out.resize(end, b'x');
    }
}

/// Finds stamps in frames. Made once: the search table is reused.
pub(crate) struct StampFinder(Finder<'static>);

impl StampFinder {
    pub(crate) fn new() -> Self {
        Self(Finder::new(MARK))
    }

    /// The first stamp in `frame`, if there is a whole one.
    pub(crate) fn find(&self, frame: &[u8]) -> Option<Stamp> {
        let start = self.0.find(frame)?;
        parse(frame.get(start..start + STAMP_BYTES)?)
    }
}

fn parse(text: &[u8]) -> Option<Stamp> {
    Some(Stamp {
        run: u32::try_from(read_hex(text, RUN_AT, 8)?).ok()?,
        lane: u16::try_from(read_hex(text, LANE_AT, 4)?).ok()?,
        sequence: u32::try_from(read_hex(text, SEQUENCE_AT, 8)?).ok()?,
        scheduled_ns: read_hex(text, SCHEDULED_AT, 16)?,
    })
}

fn append_hex(out: &mut Vec<u8>, value: u64, digits: u32) {
    for digit in (0..digits).rev() {
        out.push(b"0123456789abcdef"[(value >> (digit * 4)) as usize & 15]);
    }
    out.push(b':');
}

fn read_hex(text: &[u8], at: usize, digits: usize) -> Option<u64> {
    if text.get(at + digits) != Some(&b':') {
        return None;
    }
    text.get(at..at + digits)?.iter().try_fold(0, |value, byte| {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return None,
        };
        Some(value << 4 | u64::from(digit))
    })
}

#[cfg(test)]
mod tests;

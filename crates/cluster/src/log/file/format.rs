//! The bytes of a segment: pure encoding and total decoding.
//!
//! ```text
//! segment  header (36)   magic 8 | number u32 | flags u32 | salt u64 | previous length u64 | crc u32
//!          batch*
//! batch    header (16)   magic u32 | body length u32 | crc of body u32 | crc of salt, offset and this header u32
//!          group*
//! group    name length u16 | count u32 | first sequence u64 | name | record*
//! record   length u32 | crc of sequence and bytes u32 | bytes
//! ```
//!
//! Numbers are little-endian, checksums CRC-32 (IEEE).

use std::ops::Range;

use crate::Sequence;

#[cfg(test)]
mod tests;

pub(super) const SEGMENT_HEADER_BYTES: usize = 36;
pub(super) const BATCH_HEADER_BYTES: usize = 16;
/// What stands before a record's bytes.
pub(super) const RECORD_HEADER_BYTES: usize = 8;
const GROUP_HEADER_BYTES: usize = 14;

const SEGMENT_MAGIC: &[u8; 8] = b"COURLOG1";
const BATCH_MAGIC: [u8; 4] = [0xB4, 0x7C, 0x91, 0x0E];
const FLAG_SYNCED: u32 = 1;

/// What a segment says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    /// Its place among segments, also its file name.
    pub(super) number: u32,
    /// Whether each batch was on disk before the next was written, so that only the last can be torn.
    pub(super) synced: bool,
    /// Random. It is part of the batches' checksums, so that no record, whoever wrote it, can hold bytes that
    /// pass for a batch.
    pub(super) salt: u64,
    /// The final length of the segment before, so that one that lost its end is noticed.
    pub(super) previous_bytes: u64,
}

/// Why bytes are no batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed(pub(super) &'static str);

/// Records of one stream, in a batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Group<'a> {
    pub(super) stream: &'a str,
    pub(super) first: Sequence,
    /// Where each record is, its header included, from the start of what was decoded.
    pub(super) records: Vec<Range<usize>>,
}

// === impl SegmentHeader ===

impl SegmentHeader {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(SEGMENT_HEADER_BYTES);
        bytes.extend_from_slice(SEGMENT_MAGIC);
        bytes.extend_from_slice(&self.number.to_le_bytes());
        bytes.extend_from_slice(&(if self.synced { FLAG_SYNCED } else { 0 }).to_le_bytes());
        bytes.extend_from_slice(&self.salt.to_le_bytes());
        bytes.extend_from_slice(&self.previous_bytes.to_le_bytes());
        let crc = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader(bytes);
        let parts = (|| {
            let magic = reader.take(8)?;
            let header = Self {
                number: reader.u32()?,
                synced: reader.u32()? & FLAG_SYNCED != 0,
                salt: reader.u64()?,
                previous_bytes: reader.u64()?,
            };
            Some((magic, header, reader.u32()?))
        })();
        let (magic, header, crc) = parts.ok_or(Malformed("the segment's header is incomplete"))?;
        if magic != SEGMENT_MAGIC {
            return Err(Malformed("it does not begin as a segment of this version"));
        }
        if crc != crc32fast::hash(&bytes[..SEGMENT_HEADER_BYTES - 4]) {
            return Err(Malformed("the segment header's checksum does not match"));
        }
        Ok(header)
    }
}

// === writing ===

/// Appends a group's header; `count` records must follow.
pub(super) fn put_group(bytes: &mut Vec<u8>, stream: &str, first: Sequence, count: u32) {
    // Names are checked to be far shorter than this before they get here.
    let name_bytes = u16::try_from(stream.len()).unwrap_or(u16::MAX);
    bytes.extend_from_slice(&name_bytes.to_le_bytes());
    bytes.extend_from_slice(&count.to_le_bytes());
    bytes.extend_from_slice(&first.to_le_bytes());
    bytes.extend_from_slice(stream.as_bytes());
}

/// Appends a record and returns where it is.
pub(super) fn put_record(bytes: &mut Vec<u8>, sequence: Sequence, record: &[u8]) -> Range<usize> {
    let start = bytes.len();
    let length = u32::try_from(record.len()).unwrap_or(u32::MAX);
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&record_crc(sequence, record).to_le_bytes());
    bytes.extend_from_slice(record);
    start..bytes.len()
}

/// Begins a batch in an empty buffer; groups follow, then [`seal_batch`].
pub(super) fn begin_batch(bytes: &mut Vec<u8>) {
    bytes.clear();
    bytes.resize(BATCH_HEADER_BYTES, 0);
}

/// Fills in the header of the batch, which will stand at `offset` in a segment of this salt.
pub(super) fn seal_batch(bytes: &mut [u8], salt: u64, offset: u64) {
    let (header, body) = bytes.split_at_mut(BATCH_HEADER_BYTES);
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    header[..4].copy_from_slice(&BATCH_MAGIC);
    header[4..8].copy_from_slice(&length.to_le_bytes());
    header[8..12].copy_from_slice(&crc32fast::hash(body).to_le_bytes());
    let crc = batch_crc(&header[..12], salt, offset);
    header[12..].copy_from_slice(&crc.to_le_bytes());
}

/// An upper bound of what an append adds to a batch.
pub(super) fn append_bytes(stream: &str, records: impl Iterator<Item = usize>) -> usize {
    GROUP_HEADER_BYTES + stream.len() + records.map(|length| RECORD_HEADER_BYTES + length).sum::<usize>()
}

// === reading ===

/// The length of the batch at the start of `bytes`, header included, if a batch's header is there. Its body
/// need not be complete.
pub(super) fn batch_length(bytes: &[u8], salt: u64, offset: u64) -> Result<usize, Malformed> {
    let header = bytes.get(..BATCH_HEADER_BYTES).ok_or(Malformed("a batch's header is incomplete"))?;
    if header[..4] != BATCH_MAGIC {
        return Err(Malformed("no batch begins where one must"));
    }
    let mut reader = Reader(&header[4..]);
    let (length, _, crc) = (reader.u32(), reader.u32(), reader.u32());
    if crc != Some(batch_crc(&header[..12], salt, offset)) {
        return Err(Malformed("a batch header's checksum does not match"));
    }
    Ok(BATCH_HEADER_BYTES + length.unwrap_or(0) as usize)
}

/// Decodes the batch at the start of `bytes`; returns its length and what it holds.
pub(super) fn decode_batch(
    bytes: &[u8],
    salt: u64,
    offset: u64,
) -> Result<(usize, Vec<Group<'_>>), Malformed> {
    let length = batch_length(bytes, salt, offset)?;
    let body = bytes.get(BATCH_HEADER_BYTES..length).ok_or(Malformed("a batch is incomplete"))?;
    if bytes[8..12] != crc32fast::hash(body).to_le_bytes() {
        return Err(Malformed("a batch's checksum does not match"));
    }
    let groups = decode_groups(body).ok_or(Malformed("a batch's checksum matches, but not its parts"))?;
    Ok((length, groups))
}

fn decode_groups(body: &[u8]) -> Option<Vec<Group<'_>>> {
    let mut reader = Reader(body);
    let mut groups = Vec::new();
    while !reader.0.is_empty() {
        let (name_bytes, count, first) = (reader.u16()?, reader.u32()?, reader.u64()?);
        let stream = std::str::from_utf8(reader.take(usize::from(name_bytes))?).ok()?;
        let mut records = Vec::new();
        for _ in 0..count {
            let start = BATCH_HEADER_BYTES + body.len() - reader.0.len();
            let (length, _crc) = (reader.u32()?, reader.u32()?);
            reader.take(length as usize)?;
            records.push(start..BATCH_HEADER_BYTES + body.len() - reader.0.len());
        }
        // One more than the last, for there must be a next one.
        first.checked_add(u64::from(count) + 1)?;
        groups.push(Group { stream, first, records });
    }
    Some(groups)
}

/// The bytes of a record that was read with its header.
pub(super) fn decode_record(bytes: &[u8], sequence: Sequence) -> Result<&[u8], Malformed> {
    let mut reader = Reader(bytes);
    let header = reader.u32().zip(reader.u32());
    let (length, crc) = header.ok_or(Malformed("a record is incomplete"))?;
    if reader.0.len() != length as usize || record_crc(sequence, reader.0) != crc {
        return Err(Malformed("a record's checksum does not match"));
    }
    Ok(reader.0)
}

/// Where the next batch's header is, from `from` on.
pub(super) fn find_batch(bytes: &[u8], from: usize, salt: u64) -> Option<usize> {
    let rest = bytes.get(from..)?;
    let starts = rest.windows(BATCH_MAGIC.len()).enumerate().filter(|(_, window)| *window == BATCH_MAGIC);
    starts.map(|(at, _)| from + at).find(|at| batch_length(&bytes[*at..], salt, *at as u64).is_ok())
}

fn record_crc(sequence: Sequence, record: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&sequence.to_le_bytes());
    hasher.update(record);
    hasher.finalize()
}

/// Holds the offset too, so that a batch which ended up elsewhere is none.
fn batch_crc(header: &[u8], salt: u64, offset: u64) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&salt.to_le_bytes());
    hasher.update(&offset.to_le_bytes());
    hasher.update(header);
    hasher.finalize()
}

/// What is left to decode.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }
}

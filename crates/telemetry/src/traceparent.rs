//! The `traceparent` header: where a trace came from (W3C Trace Context, level 1 and 2).
//!
//! Pure parsing and formatting. `tracestate` is not kept: what it holds is for the tracing systems of others, and
//! Courant forwards requests to nobody.

use std::fmt;

use bytes::Bytes;
use http::HeaderMap;

#[cfg(test)]
mod tests;

/// The header's name.
pub const HEADER: &str = "traceparent";

/// The length of version 00: `00-<32 hex>-<16 hex>-<2 hex>`.
const LENGTH: usize = 55;

/// The bit of the flags that says that the caller records this trace.
const SAMPLED: u8 = 0x01;

/// The span that caused something, in another process or another thread.
///
/// Prints as the header's value. It is small and `Copy`, to travel beside a message from the publish to its
/// fan-outs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceParent {
    trace_id: u128,
    span_id: u64,
    sampled: bool,
}

impl TraceParent {
    /// A parent by its ids, or `None` if one of them is zero, which stands for no trace and no span.
    pub fn new(trace_id: u128, span_id: u64, sampled: bool) -> Option<Self> {
        (trace_id != 0 && span_id != 0).then_some(Self { trace_id, span_id, sampled })
    }

    /// Reads a header's value. Whatever is not valid is `None`: a broken header must not break the request that
    /// it came with, the trace just begins here (W3C Trace Context, section 4.3).
    ///
    /// A version that is not known yet is read as far as version 00 goes, when it begins like it.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let (known, more) = value.split_at_checked(LENGTH)?;
        let [version_1, version_2, b'-', ids @ .., b'-', flags_1, flags_2] = known else { return None };
        match hex(&[*version_1, *version_2])? {
            0xff => return None,
            0x00 if !more.is_empty() => return None,
            _ if !more.is_empty() && !more.starts_with(b"-") => return None,
            _ => {}
        }
        let (trace_id, span_id) = ids.split_at_checked(32)?;
        let span_id = span_id.strip_prefix(b"-")?;
        let sampled = hex(&[*flags_1, *flags_2])? as u8 & SAMPLED != 0;
        // A span id has 16 digits here, as the lengths of the other parts are fixed.
        Self::new(hex(trace_id)?, u64::try_from(hex(span_id)?).ok()?, sampled)
    }

    /// Reads it from the head of a request. More than one header is as good as none (section 3.2).
    pub fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(HEADER).iter();
        let value = values.next()?;
        if values.next().is_some() { None } else { Self::parse(value.as_bytes()) }
    }

    /// The header's value, in version 00.
    pub fn to_bytes(self) -> Bytes {
        Bytes::from(self.to_string())
    }

    /// Of the whole trace; never zero.
    pub fn trace_id(self) -> u128 {
        self.trace_id
    }

    /// Of the span that is the parent; never zero.
    pub fn span_id(self) -> u64 {
        self.span_id
    }

    /// Whether the caller records the trace.
    pub fn is_sampled(self) -> bool {
        self.sampled
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, u8::from(self.sampled))
    }
}

/// The value of up to 32 hexadecimal digits. Capitals are not allowed (section 3.2.2).
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |value: u128, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(value << 4 | u128::from(digit))
    })
}
